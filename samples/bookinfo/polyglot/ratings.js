// How many stars readers gave, in Node.js: the same answers as ../src/ratings.py. Usage: node ratings.js [port]
'use strict';

const http = require('node:http');

const port = Number(process.argv[2] || process.env.PORT || 9080);
const delaySeconds = Number(process.env.RATINGS_DELAY_SECONDS || 0);
const faultPercent = Number(process.env.RATINGS_FAULT_PERCENT || 0);
const bodyLimit = 64 * 1024;
const unset = { Reviewer1: 5, Reviewer2: 4 };
const given = new Map();
let requests = 0;

function reply(response, status, value) {
  const body = JSON.stringify(value);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

// Faults are spread evenly, not by chance: a demonstration of 50 % shows 50 %.
function isToFail() {
  requests += 1;
  return Math.floor((requests * faultPercent) / 100) !== Math.floor(((requests - 1) * faultPercent) / 100);
}

function parse(body) {
  try {
    const stars = JSON.parse(body);
    const values = Object.values(stars);
    if (!Array.isArray(stars) && values.every((value) => Number.isInteger(value) && value >= 0 && value <= 5)) return stars;
  } catch {
    return null;
  }
  return null;
}

function answer(request, response, body) {
  const product = /^\/ratings\/(\d{1,9})\/?$/.exec(request.url.split('?')[0]);
  if (request.url === '/health') return reply(response, 200, { status: 'healthy' });
  if (!product) return reply(response, 404, { error: 'there is /ratings/<product> and /health' });
  if (isToFail()) return reply(response, 503, { error: 'ratings is told to fail' });
  const id = Number(product[1]);
  if (request.method === 'POST') {
    const stars = parse(body);
    if (stars === null) return reply(response, 400, { error: 'ratings are a JSON object with 0 to 5 stars' });
    given.set(id, stars);
  }
  return reply(response, 200, { id, ratings: given.get(id) || unset });
}

const server = http.createServer((request, response) => {
  const chunks = [];
  let size = 0;
  request.on('data', (chunk) => {
    size += chunk.length;
    if (size > bodyLimit) request.destroy();
    else chunks.push(chunk);
  });
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString();
    if (delaySeconds > 0) setTimeout(() => answer(request, response, body), delaySeconds * 1000);
    else answer(request, response, body);
  });
});

server.keepAliveTimeout = 120_000;
server.listen(port, process.env.HOST || '0.0.0.0', () => console.log(`ratings serves port ${server.address().port}`));
for (const name of ['SIGTERM', 'SIGINT']) {
  process.on(name, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    setTimeout(() => process.exit(0), 3000).unref();
  });
}
