// What readers say, in Java: the same answers as ../src/reviews.py. Usage: java Reviews.java [port]

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public final class Reviews {
  private static final String VERSION = setting("SERVICE_VERSION", "v1");
  private static final String COLOR = setting("STAR_COLOR", VERSION.equals("v3") ? "red" : "black");
  private static final boolean WITH_RATINGS =
      Boolean.parseBoolean(setting("ENABLE_RATINGS", String.valueOf(!VERSION.equals("v1"))));
  private static final Duration PATIENCE = Duration.ofMillis(COLOR.equals("red") ? 2500 : 10_000);
  private static final Pattern PATH = Pattern.compile("/reviews/(\\d{1,9})/?");
  private static final List<String> PROPAGATED =
      List.of(
          "x-request-id", "traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid",
          "x-b3-sampled", "x-b3-flags", "x-ot-span-context", "end-user", "user-agent");
  private static final String[][] TEXTS = {
    {"Reviewer1", "Two pairs of twins, one harbour, and nobody asks the obvious question. I laughed all the way home."},
    {"Reviewer2", "The beatings have not aged well, the abbess has. Read it aloud, with friends, and quickly."},
  };
  private static final HttpClient CLIENT =
      HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(PATIENCE).build();

  private Reviews() {}

  public static void main(String[] arguments) throws IOException {
    int port = Integer.parseInt(arguments.length > 0 ? arguments[0] : setting("PORT", "9080"));
    HttpServer server = HttpServer.create(new InetSocketAddress(setting("HOST", "0.0.0.0"), port), 512);
    server.createContext("/", Reviews::handle);
    server.setExecutor(Executors.newCachedThreadPool());
    Runtime.getRuntime().addShutdownHook(new Thread(() -> server.stop(1)));
    server.start();
    System.out.println("reviews serves port " + server.getAddress().getPort());
  }

  private static void handle(HttpExchange exchange) throws IOException {
    try (exchange) {
      exchange.getRequestBody().readAllBytes();
      String path = exchange.getRequestURI().getPath();
      Matcher product = PATH.matcher(path);
      if (path.equals("/health")) {
        reply(exchange, 200, "{\"status\": \"healthy\"}");
      } else if (product.matches()) {
        reply(exchange, 200, reviews(Integer.parseInt(product.group(1)), exchange));
      } else {
        reply(exchange, 404, "{\"error\": \"there is /reviews/<product> and /health\"}");
      }
    }
  }

  private static String reviews(int product, HttpExchange exchange) {
    String ratings = WITH_RATINGS ? ratings(product, exchange) : null;
    StringBuilder list = new StringBuilder();
    for (String[] text : TEXTS) {
      list.append(list.isEmpty() ? "" : ", ");
      list.append("{\"reviewer\": ").append(quote(text[0])).append(", \"text\": ").append(quote(text[1]));
      list.append(WITH_RATINGS ? ", \"rating\": " + rating(text[0], ratings) : "").append("}");
    }
    String identity =
        "\"podname\": " + quote(setting("HOSTNAME", "unknown"))
            + ", \"clustername\": " + quote(setting("CLUSTER_NAME", "null"));
    return "{\"id\": \"" + product + "\", " + identity + ", \"reviews\": [" + list + "]}";
  }

  private static String rating(String reviewer, String ratings) {
    Matcher stars = Pattern.compile("\"" + reviewer + "\"\\s*:\\s*(\\d)").matcher(ratings);
    if (stars.find()) {
      return "{\"stars\": " + stars.group(1) + ", \"color\": " + quote(COLOR) + "}";
    }
    return "{\"error\": \"Ratings service is currently unavailable\"}";
  }

  /** Asks ratings; the empty text when they can't be had: a review is worth showing without its stars. */
  private static String ratings(int product, HttpExchange exchange) {
    String domain = setting("SERVICES_DOMAIN", "");
    String host = setting("RATINGS_HOSTNAME", domain.isEmpty() ? "ratings" : "ratings." + domain);
    URI target = URI.create("http://" + host + ":" + setting("RATINGS_PORT", "9080") + "/ratings/" + product);
    HttpRequest.Builder request = HttpRequest.newBuilder(target).timeout(PATIENCE);
    for (String name : PROPAGATED) {
      String value = exchange.getRequestHeaders().getFirst(name);
      if (value != null) {
        request.header(name, value);
      }
    }
    try {
      HttpResponse<String> response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
      return response.statusCode() == 200 ? response.body() : "";
    } catch (IOException error) {
      return "";
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
      return "";
    }
  }

  private static void reply(HttpExchange exchange, int status, String body) throws IOException {
    byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
    exchange.getResponseHeaders().set("content-type", "application/json");
    boolean headOnly = exchange.getRequestMethod().toUpperCase(Locale.ROOT).equals("HEAD");
    exchange.sendResponseHeaders(status, headOnly ? -1 : bytes.length);
    if (!headOnly) {
      exchange.getResponseBody().write(bytes);
    }
  }

  private static String quote(String text) {
    return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
  }

  private static String setting(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }
}
