// Print what functions of the page's modules return, for a JSON list from stdin: [module, function, ...arguments].

let input = "";
for await (const piece of process.stdin) input += piece;
const said = [];
for (const [name, call, ...values] of JSON.parse(input)) {
  const module = await import(`../../src/runcast/web/page/${name}.js`);
  // Queries come as texts, and go as such.
  if (call === "inAddress") said.push(module[values[0]](new URLSearchParams(values[1]), ...values.slice(2)));
  else if (call === "text") said.push(module.ofForm(...values));
  else said.push(module[call](...values));
}
console.log(JSON.stringify(said.map((one) => (one instanceof URLSearchParams ? String(one) : one ?? null))));
