# What is printed on a book's first pages, in Ruby: the same answers as ../src/details.py. Usage: ruby details.rb [port]
# frozen_string_literal: true

require 'json'
require 'socket'

HEAD_LIMIT = 64 * 1024
REASONS = { 200 => 'OK', 400 => 'Bad Request', 404 => 'Not Found' }.freeze

def details(product)
  {
    'id' => product,
    'author' => 'William Shakespeare',
    'year' => 1594,
    'type' => 'paperback',
    'pages' => 96,
    'publisher' => 'Blount and Jaggard',
    'language' => 'English',
    'ISBN-10' => '1234567890',
    'ISBN-13' => '123-1234567890'
  }
end

def answer(path)
  return [200, { 'status' => 'healthy' }] if path == '/health'

  product = %r{\A/details/(\d{1,9})/?\z}.match(path)
  return [200, details(Integer(product[1], 10))] if product
  return [400, { 'error' => "please give the product's number" }] if path.start_with?('/details/')

  [404, { 'error' => 'there is /details/<product> and /health' }]
end

# The request line and headers (names in lower case); nil when the client has gone or talks nonsense.
def read_head(connection)
  request_line = connection.gets("\r\n", HEAD_LIMIT)
  return nil unless request_line

  method, target, version = request_line.strip.split(' ')
  return nil unless version&.start_with?('HTTP/1.')

  headers = {}
  while (line = connection.gets("\r\n", HEAD_LIMIT))
    line = line.strip
    break if line.empty?
    return nil if headers.size > 200

    name, value = line.split(':', 2)
    headers[name.downcase] = value.to_s.strip
  end
  [method, target.split('?').first, version, headers]
end

def reply(connection, status, value, keep, head_only)
  body = JSON.generate(value)
  head = "HTTP/1.1 #{status} #{REASONS[status]}\r\ncontent-type: application/json\r\n" \
         "content-length: #{body.bytesize}\r\nconnection: #{keep ? 'keep-alive' : 'close'}\r\n\r\n"
  connection.write(head_only ? head : head + body)
end

def serve(connection)
  connection.setsockopt(Socket::IPPROTO_TCP, Socket::TCP_NODELAY, 1)
  loop do
    method, path, version, headers = read_head(connection)
    break unless path

    length = headers['content-length'].to_i
    connection.read(length) if length.between?(1, 1_048_576)
    keep = version == 'HTTP/1.1' && headers['connection'].to_s.downcase != 'close' && !headers.key?('transfer-encoding')
    status, value = answer(path)
    reply(connection, status, value, keep, method == 'HEAD')
    break unless keep
  end
rescue IOError, SystemCallError
  nil
ensure
  connection.close
end

port = Integer(ARGV[0] || ENV['PORT'] || '9080', 10)
server = TCPServer.new(ENV['HOST'] || '0.0.0.0', port)
%w[TERM INT].each { |name| trap(name) { exit!(0) } }
puts "details serves port #{server.addr[1]}"
$stdout.flush
loop { Thread.new(server.accept) { |connection| serve(connection) } }
