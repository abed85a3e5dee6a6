// Evaluated once in each realm, before any source of a component. Afterwards nothing in the realm can be changed, so that
// a call leaves nothing behind for the next one: what a source declares is made anew for each call.
(function () {
  "use strict";
  const { freeze, getOwnPropertyDescriptor, defineProperty, getPrototypeOf } = Object;
  const { parse, stringify } = JSON;
  const MAX_EMITTED = 10000, MAX_CHARS = 4194304, MAX_MESSAGE = 2000;
  const instant = Date;
  let now = 0, a = 0, b = 0, c = 0, d = 0;

  function random() { // xoshiro128**: Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021
    const x = Math.imul(b, 5), result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0, t = b << 9;
    c ^= a; d ^= b; b ^= c; a ^= d; c ^= t;
    d = (d << 11) | (d >>> 21);
    return result / 4294967296;
  }

  function FixedDate(...parts) {
    if (!new.target) return new instant(now).toString();
    return Reflect.construct(instant, parts.length ? parts : [now], new.target);
  }
  function Code() { throw new TypeError("no code is made from text here"); }

  function replace(holder, name, value) {
    defineProperty(holder, name, { value, writable: true, enumerable: false, configurable: true });
  }

  function settle() {
    for (const name of ["parse", "UTC"]) replace(FixedDate, name, instant[name]);
    replace(FixedDate, "now", function () { return now; });
    defineProperty(FixedDate, "prototype", { value: instant.prototype, writable: false });
    defineProperty(FixedDate, "name", { value: "Date" });
    defineProperty(FixedDate, "length", { value: 7 });
    replace(instant.prototype, "constructor", FixedDate);
    replace(globalThis, "Date", FixedDate);
    replace(Math, "random", random);
    // What depends on the collector, on other threads or on a clock has no place in a pure function.
    const gone = ["eval", "WeakRef", "FinalizationRegistry", "SharedArrayBuffer", "Atomics", "performance", "queueMicrotask"];
    for (const name of gone) delete globalThis[name];
    const kinds = [function () {}, function* () {}, async function () {}, async function* () {}];
    for (const kind of kinds) replace(getPrototypeOf(kind), "constructor", Code);
    defineProperty(Code, "prototype", { value: Function.prototype, writable: false });
    defineProperty(Code, "name", { value: "Function" });
    replace(globalThis, "Function", Code);
    // Accessors of the engine's own state, which freezing does not reach.
    for (const name of ["prepareStackTrace", "stackTraceLimit", "captureStackTrace"]) delete Error[name];
    return kinds;
  }

  // A frozen prototype must not keep what inherits from it from having its own `message`, `name` or `toString`.
  function allowOwn(prototype) {
    for (const key of Reflect.ownKeys(prototype)) {
      const found = getOwnPropertyDescriptor(prototype, key);
      if (!("value" in found) || !found.configurable) continue;
      const inherited = found.value;
      defineProperty(prototype, key, {
        get() { return inherited; },
        set(value) {
          if (this === prototype || this === null || this === undefined) throw new TypeError(`${String(key)} is frozen`);
          defineProperty(this, key, { value, writable: true, enumerable: true, configurable: true });
        },
        enumerable: false,
        configurable: false,
      });
    }
  }

  function freezeAll(roots) {
    const seen = new Set(), open = [...roots];
    while (open.length) {
      const thing = open.pop();
      if (thing === null || (typeof thing !== "object" && typeof thing !== "function") || seen.has(thing)) continue;
      seen.add(thing);
      open.push(getPrototypeOf(thing));
      for (const key of Reflect.ownKeys(thing)) {
        const found = getOwnPropertyDescriptor(thing, key);
        open.push(found.value, found.get, found.set);
      }
      freeze(thing);
    }
  }

  function hidden(kinds) { // prototypes that no property leads to
    const iterators = [
      [][Symbol.iterator](), ""[Symbol.iterator](), new Map()[Symbol.iterator](), new Set()[Symbol.iterator](),
      "".matchAll(/./g), [].values().map((x) => x), Iterator.from({ next() {} }),
    ];
    const generators = [kinds[1](), kinds[3]()];
    return [...iterators, ...generators, ...kinds].map((thing) => getPrototypeOf(thing));
  }

  function frozen(value) {
    if (value !== null && typeof value === "object") {
      for (const key of Object.keys(value)) frozen(value[key]);
      freeze(value);
    }
    return value;
  }

  const kinds = settle();
  const errors = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError, AggregateError, InternalError];
  for (const kind of [Object, Function, ...errors]) allowOwn(kind.prototype);
  freezeAll([globalThis, ...hidden(kinds)]);

  function textOf(error) {
    // It has no memory left for an error when the engine throws null.
    if (error === null || error === undefined) return "it threw nothing, or there was no memory left";
    try {
      const known = typeof error === "object" && typeof error.message === "string";
      const text = known ? `${typeof error.name === "string" ? error.name : "Error"}: ${error.message}` : String(error);
      return text.slice(0, MAX_MESSAGE);
    } catch {
      return "it threw something that has no text";
    }
  }

  // factory: makes the component's own functions anew; outputs: its ports.
  return function harness(factory, outputs) {
    const ports = new Set(parse(outputs));
    let emitted = [], size = 0, state = "", error = "";

    const emit = freeze((port, value) => {
      if (state !== "open") throw new TypeError("process has ended");
      if (!ports.has(port)) throw new TypeError(`there is no output ${typeof port === "string" ? `\`${port.slice(0, 80)}\`` : "of this name"}`);
      const text = stringify(value);
      if (text === undefined) throw new TypeError(`what is emitted at \`${port}\` is no JSON value`);
      if (emitted.length >= MAX_EMITTED) throw new RangeError(`more than ${MAX_EMITTED} messages are emitted`);
      if (size + text.length > MAX_CHARS) throw new RangeError(`more than ${MAX_CHARS} characters are emitted`);
      size += text.length;
      emitted[emitted.length] = `[${stringify(port)},${text}]`;
    });

    function failed(reason) {
      state = "failed";
      error = stringify(textOf(reason));
    }

    function answer() {
      // Joined, because a long text that was put together by `+` is a rope, which the engine's embedding does not read.
      if (state === "done") return ["[[", emitted.join(","), "],null]"].join("");
      if (state === "failed") return ["[[],", error, "]"].join("");
      return "";
    }

    function begin(text) {
      const [port, value, config, key, at, seed] = parse(text);
      now = at;
      [a, b, c, d] = seed;
      emitted = []; size = 0; state = "open"; error = "";
      try {
        const process = factory();
        if (typeof process !== "function") throw new TypeError("it defines no function `process`");
        const result = process(freeze({ key, config: frozen(config), emit }), port, value);
        if (result !== null && typeof result === "object" && typeof result.then === "function") {
          Promise.resolve(result).then(() => { state = "done"; }, failed);
          return "";
        }
        state = "done";
      } catch (reason) {
        failed(reason);
      }
      return answer();
    }

    function finish() {
      if (state === "open") failed(new TypeError("what process returned is a promise that nothing settles"));
      const text = answer();
      state = "";
      emitted = [];
      return text;
    }

    function check() {
      try {
        return typeof factory() === "function" ? "" : "it defines no function `process`";
      } catch (reason) {
        return textOf(reason);
      }
    }

    return [begin, finish, check];
  };
})()
