// PHP's own command line, once per list of arguments: node php.mjs 7.4 '{"/there": "/on/this/machine"}' '[["php", "-l", "/there/a.php"], …]'
//
// Prints one line of JSON per run: {"code": …, "out": …}.
import { createNodeFsMountHandler, loadNodeRuntime } from "@php-wasm/node";
import { PHP } from "@php-wasm/universal";

const [version, folders, runs] = [process.argv[2], JSON.parse(process.argv[3]), JSON.parse(process.argv[4])];
let number = 0;
for (const words of runs) {
  const php = new PHP(await loadNodeRuntime(version, { emscriptenOptions: { processId: ++number } }));
  for (const [where, folder] of Object.entries(folders)) {
    php.mkdirTree(where);
    await php.mount(where, createNodeFsMountHandler(folder));
  }
  const ran = await php.cli(words);
  const [out, errors, code] = await Promise.all([ran.stdoutText, ran.stderrText, ran.exitCode]);
  console.log(JSON.stringify({ code, out: out + errors }));
}
process.exit(0);
