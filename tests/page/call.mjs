// Call functions of the page's modules: reads {module, name, calls: [arguments, ...]} from stdin, prints what each returns.

let input = "";
for await (const piece of process.stdin) input += piece;
const { module, name, calls } = JSON.parse(input);
const called = (await import(`../../src/runcast/web/page/${module}`))[name];
console.log(JSON.stringify(calls.map((one) => called(...one))));
