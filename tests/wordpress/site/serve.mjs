// One WordPress over HTTP: PHP is WebAssembly, its files and its SQLite database are in a folder of this machine.
//
//   node serve.mjs '{"root": …, "statics": …, "url": …, "port": …, "php": "8.3", "authority": "ca.pem"}'
//
// Prints "ready" once it listens. Outgoing connections of PHP are real ones; *.localhost is this machine.
import dns from "node:dns";
import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { extname, join, normalize } from "node:path";
import { createNodeFsMountHandler, loadNodeRuntime } from "@php-wasm/node";
import { FileLockManagerInMemory, PHP, PHPRequestHandler, setPhpIniEntries } from "@php-wasm/universal";

const { root, statics, url, port, php: version, authority, live } = JSON.parse(process.argv[2]);

// A page asks our server, which asks this site again before it answers: one PHP alone would wait for itself.
const PROCESSES = 3;
// WebAssembly gives no memory back, so each PHP is started anew now and then, like the workers of php-fpm.
const REQUESTS_OF_ONE = 150;
// As on a host: what is compiled stays in memory, not in a file that is read back for each request. Whether a script
// was changed is still looked up each time. The build of PHP 7.4 has no memory for it.
const COMPILED = version.startsWith("7") ? {} : {
  "opcache.file_cache_only": 0, "opcache.max_accelerated_files": 4000, "opcache.revalidate_freq": 0,
};
const HOUSE = "/wordpress";
const TYPES = {
  ".css": "text/css", ".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png",
  ".jpg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif", ".woff2": "font/woff2", ".html": "text/html",
};

const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host.endsWith(".localhost") ? "127.0.0.1" : host, ...rest);
syncBuiltinESMExports();

const locks = new FileLockManagerInMemory();
const certificates = readFileSync(authority);
let processes = 0;

async function runtime() {
  return loadNodeRuntime(version, { fileLockManager: locks, emscriptenOptions: { processId: ++processes } });
}

async function start({ requestHandler }) {
  const php = new PHP();
  php.requestHandler = requestHandler;
  await php.initializeRuntime(await runtime());
  await php.enableRuntimeRotation({ recreateRuntime: runtime, maxRequests: REQUESTS_OF_ONE });
  await php.setSapiName("cli-server");
  php.writeFile("/internal/authority.pem", certificates);
  await setPhpIniEntries(php, {
    memory_limit: "256M",
    allow_url_fopen: 1,
    disable_functions: "",
    display_errors: 0,
    log_errors: 1,
    error_log: `${HOUSE}/errors.log`,
    "openssl.cafile": "/internal/authority.pem",
    "curl.cainfo": "/internal/authority.pem",
    "session.save_path": "/tmp",
    ...COMPILED,
  });
  php.mkdirTree(HOUSE);
  await php.mount(HOUSE, createNodeFsMountHandler(root));
  for (const [where, folder] of Object.entries(live)) {
    php.mkdirTree(HOUSE + where);
    await php.mount(HOUSE + where, createNodeFsMountHandler(folder));
  }
  return php;
}

const handler = new PHPRequestHandler({
  documentRoot: HOUSE,
  absoluteUrl: url,
  cookieStore: false,
  maxPhpInstances: PROCESSES,
  phpFactory: start,
  getFileNotFoundAction: () => ({ type: "internal-redirect", uri: "/index.php" }),
});

// What is no PHP comes from the disk, as every web server does it: our own files first, then WordPress's.
function fileOf(path) {
  const relative = normalize(decodeURIComponent(path)).replace(/^(\.\.[/\\])+/, "");
  if (!TYPES[extname(relative)]) return null;
  const place = Object.entries(live).find(([where]) => relative.startsWith(`${where}/`));
  const files = [root, statics].map((folder) => join(folder, relative));
  if (place) files.unshift(join(place[1], relative.slice(place[0].length)));
  return files.find((file) => existsSync(file) && statSync(file).isFile());
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

async function answer(request, response) {
  const path = request.url.split("?")[0];
  const file = request.method === "GET" ? fileOf(path) : null;
  if (file) {
    response.writeHead(200, { "content-type": TYPES[extname(file)], "cache-control": "max-age=3600" });
    createReadStream(file).pipe(response);
    return;
  }
  const body = await bodyOf(request);
  const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
  const given = await handler.request({ url: request.url, method: request.method, headers, body });
  const answered = Object.entries(given.headers).filter(([name]) => !["content-length", "transfer-encoding"].includes(name));
  response.writeHead(given.httpStatusCode, Object.fromEntries(answered));
  response.end(Buffer.from(given.bytes));
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(`${request.method} ${request.url.split("?")[0]}: ${error.stack}`);
    if (!response.headersSent) response.writeHead(500, { "content-type": "text/plain" });
    response.end();
  });
});
server.keepAliveTimeout = 60_000;
await handler.getPrimaryPhp();
server.listen(port, "127.0.0.1", () => console.log("ready"));

// The one who started us holds the other end of our standard input: when they are gone, so are we.
process.stdin.resume().on("end", () => process.exit(0));
