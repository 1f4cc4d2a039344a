use super::*;

#[test]
fn a_script_returns_one_value() {
    insta::assert_snapshot!(check(script, &[
        "return 1 + 1",
        "return data",
        "const a = [3, 1, 2];\nreturn a.toSorted() // the rest of a line",
        "return [undefined, () => 1, NaN, -0, new Map([[1, 2]])]",
        "return { at: new Date('2026-01-01T00:00'), utc: Date.UTC(2026, 0), offset: new Date(2026, 6, 1).getTimezoneOffset() }",
        "return JSON.parse('{\"__proto__\": 1}')",
        "return /(?<pid>\\d+)/.exec('sshd[7]').groups.pid",
        "return (0, eval)('1 + 1') + new Function('return 1')()",
    ]), @r#"
    return 1 + 1 => {"result":2}
    return data => {"result":null}
    const a = [3, 1, 2]; return a.toSorted() // the rest of a line => {"result":[1,2,3]}
    return [undefined, () => 1, NaN, -0, new Map([[1, 2]])] => {"result":[null,null,null,0,{}]}
    return { at: new Date('2026-01-01T00:00'), utc: Date.UTC(2026, 0), offset: new D => {"result":{"at":"2026-01-01T00:00:00.000Z","offset":0,"utc":1767225600000}}
    return JSON.parse('{"__proto__": 1}') => {"result":{"__proto__":1}}
    return /(?<pid>\d+)/.exec('sshd[7]').groups.pid => {"result":"7"}
    return (0, eval)('1 + 1') + new Function('return 1')() => {"result":3}
    "#);
}

#[test]
fn what_goes_wrong_is_said() {
    insta::assert_snapshot!(check(script, &[
        "",
        "1 + 1",
        "return () => 1",
        "return Symbol('x')",
        "return 10n",
        "const a = {}; a.a = a; return a",
        "return '\\ud800'",
        "return (async () => 1)()",
        "return await 1",
        "\n\nreturn data.ip",
        "return {",
        "x = 1",
        "return 'x'.repeat(3e6)",
        "let a = 0; for (let i = 0; i < 65; i++) a = [a]; return a",
        "import x from 'os'",
    ]), @r#"
     => input: the script returns nothing | end it with `return ...`
    1 + 1 => input: the script returns nothing | end it with `return ...`
    return () => 1 => input: the script returns what JSON cannot hold: a function or a symbol
    return Symbol('x') => input: the script returns what JSON cannot hold: a function or a symbol
    return 10n => input: the script threw TypeError: BigInt are forbidden in JSON.stringify
    const a = {}; a.a = a; return a => input: the script threw TypeError: circular reference
    return '\ud800' => input: the result is no JSON that can be kept (unexpected end of hex escape at line 1 column 8): "\ud800"
    return (async () => 1)() => input: the script returns a promise | there is nothing to wait for: leave out `async` and `await`
    return await 1 => input: the script threw SyntaxError: expecting ';' (line 1)
      return data.ip => input: the script threw TypeError: cannot read property 'ip' of null (line 3)
    return { => input: the script threw SyntaxError: expecting ';' (line 2)
    x = 1 => input: the script threw ReferenceError: x is not defined (line 1)
    return 'x'.repeat(3e6) => input: the result has more than 2097152 bytes as JSON
    let a = 0; for (let i = 0; i < 65; i++) a = [a]; return a => input: the result stands more than 64 levels deep
    import x from 'os' => input: the script threw SyntaxError: Unexpected identifier 'x' (line 1)
    "#);
}

#[test]
fn nothing_outside_is_in_reach() {
    insta::assert_snapshot!(check(script, &[
        "return Object.getOwnPropertyNames(globalThis).sort().join(' ')",
        "return import('os')",
        "return Date.now()",
        "return new Date()",
        "return Date()",
        "return new Date(0).constructor.now()",
        "return new (class extends Date {})()",
        "return new (Object.getPrototypeOf(class extends Date {}))()",
        "return Reflect.construct(Date, [])",
        "return Math.random()",
        "return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e9)",
        "async function f() { for (;;) await 1 } f(); return 1",
        "Promise.resolve().then(() => { for (;;) {} }); return 1",
    ]), @r#"
    return Object.getOwnPropertyNames(globalThis).sort().join(' ') => {"result":"AggregateError Array ArrayBuffer AsyncDisposableStack Atomics BigInt BigInt64Array BigUint64Array Boolean DataView Date DisposableStack Error EvalError Float16Array Float32Array Float64Array Function Infinity Int16Array Int32Array Int8Array InternalError Iterator JSON Map Math NaN Number Object Promise Proxy RangeError ReferenceError Reflect RegExp Set SharedArrayBuffer String SuppressedError Symbol SyntaxError TypeError URIError Uint16Array Uint32Array Uint8Array Uint8ClampedArray WeakMap WeakSet decodeURI decodeURIComponent encodeURI encodeURIComponent escape eval globalThis isFinite isNaN parseFloat parseInt queueMicrotask undefined unescape"}
    return import('os') => input: the script returns a promise | there is nothing to wait for: leave out `async` and `await`
    return Date.now() => input: the script threw Error: the time of day is not there: a step gives the same when it is run again, so pass the value with data (line 1)
    return new Date() => input: the script threw Error: the time of day is not there: a step gives the same when it is run again, so pass the value with data (line 1)
    return Date() => input: the script threw Error: the time of day is not there: a step gives the same when it is run again, so pass the value with data (line 1)
    return new Date(0).constructor.now() => input: the script threw Error: the time of day is not there: a step gives the same when it is run again, so pass the value with data (line 1)
    return new (class extends Date {})() => input: the script threw Error: the time of day is not there: a step gives the same when it is run again, so pass the value with data (line 1)
    return new (Object.getPrototypeOf(class extends Date {}))() => input: the script threw Error: the time of day is not there: a step gives the same when it is run again, so pass the value with data (line 1)
    return Reflect.construct(Date, []) => input: the script threw Error: the time of day is not there: a step gives the same when it is run again, so pass the value with data (line 1)
    return Math.random() => input: the script threw Error: Math.random() is not there: a step gives the same when it is run again, so pass the value with data (line 1)
    return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1e9) => input: the script threw TypeError: cannot block in this thread (line 1)
    async function f() { for (;;) await 1 } f(); return 1 => {"result":1}
    Promise.resolve().then(() => { for (;;) {} }); return 1 => {"result":1}
    "#);
}

#[test]
fn what_never_ends_is_ended() {
    check_endless(
        script,
        &[
            "for (;;) {}",
            "for (;;) { try { for (;;) {} } catch {} finally { continue } }",
            "function f() { try { return f() } catch { return f() } } return f()",
            "return /(a*)*b/.test('a'.repeat(40))",
            "return /^(a|a)*$/.test('a'.repeat(40) + 'b')",
            "return 'a'.repeat(40).replace(/(?:a?){40}a{40}/, () => { for (;;) {} })",
            "function* all() { for (let i = 0;; i++) yield i } for (const x of all()) {}",
            "const a = []; a.length = 4294967295; return a.indexOf(1)",
            "return [3, 1, 2].sort(() => { for (;;) {} })",
            "return { toJSON() { for (;;) {} } }",
            "return { get a() { for (;;) {} } }",
            "return new Proxy({}, { ownKeys() { for (;;) {} } })",
            "return new Proxy([], { get: (_, key) => key === 'length' ? 1e12 : undefined })",
            "const e = new Error(); Object.defineProperty(e, 'message', { get() { for (;;) {} } }); throw e",
            "}); for (;;) {} (function () {",
        ],
    );
}

#[test]
fn what_takes_too_much_memory_is_ended() {
    check_greedy(
        script,
        "64 MiB",
        &[
            "return 'a'.repeat(5e8)",
            "return new Array(1e9).fill(0)",
            "return new ArrayBuffer(2e9)",
            "const a = []; for (;;) a.push(a.slice())",
            "let a = 0; for (let i = 0; i < 1e7; i++) a = [a]; return a",
            "return 'a'.repeat(1e6).replace(/a/g, '$&$&$&$&$&$&$&$&$&$&$&$&')",
            "const a = []; for (;;) { try { for (;;) a.push('x'.repeat(1e6) + a.length) } catch {} }",
        ],
    );
}

#[test]
fn what_goes_too_deep_is_ended() {
    insta::assert_snapshot!(check(script, &[
        "function f() { return 1 + f() } return f()",
        "function* all() { yield* all() } return [...all()]",
        "return { get a() { return { __proto__: this } } }",
        "return JSON.parse('['.repeat(1e5))",
        "return eval('('.repeat(1e5))",
        "let a = 0; for (let i = 0; i < 1e5; i++) a = [a]; return a",
        "return new RegExp('('.repeat(1e5))",
        "return new RegExp('(?:'.repeat(1e5) + ')'.repeat(1e5))",
        "let s = 'a'; for (;;) s += s",
        "return 2n ** 10000000n > 0",
    ]), @r#"
    function f() { return 1 + f() } return f() => input: the script threw RangeError: Maximum call stack size exceeded (line 1)
    function* all() { yield* all() } return [...all()] => input: the script threw RangeError: Maximum call stack size exceeded (line 1)
    return { get a() { return { __proto__: this } } } => {"result":{"a":{}}}
    return JSON.parse('['.repeat(1e5)) => input: the script threw RangeError: Maximum call stack size exceeded (line 1)
    return eval('('.repeat(1e5)) => input: the script threw RangeError: Maximum call stack size exceeded (line 1)
    let a = 0; for (let i = 0; i < 1e5; i++) a = [a]; return a => input: the script threw RangeError: Maximum call stack size exceeded
    return new RegExp('('.repeat(1e5)) => input: the script threw SyntaxError: too many captures (line 1)
    return new RegExp('(?:'.repeat(1e5) + ')'.repeat(1e5)) => input: the script threw SyntaxError: stack overflow (line 1)
    let s = 'a'; for (;;) s += s => input: the script threw InternalError: string too long (line 1)
    return 2n ** 10000000n > 0 => input: the script threw RangeError: BigInt is too large (line 1)
    "#);
}

#[test]
fn what_a_script_does_to_the_language_changes_only_its_own_result() {
    insta::assert_snapshot!(check(script, &[
        "Object.prototype.toJSON = () => 'mine'; return { a: 1 }",
        "JSON.stringify = () => '{\"Failed\": 1}'; return { a: 1 }",
        "globalThis.JSON = null; return { a: 1 }",
        "return { toJSON: () => ({ Failed: { message: 'x' } }) }",
        "Object.prototype.result = 'mine'; Object.defineProperty(Object.prototype, 'Result', { get: () => 'mine' }); return {}",
        "Array.prototype.toJSON = () => { throw new Error('mine') }; return [1]",
        "return { toJSON() { throw 1 } }",
        "return { get a() { throw new TypeError('getter') } }",
        "return { get a() { return this } }",
        "return { get a() { return () => 1 } }",
        "Function.prototype.call = Function.prototype.apply = null; return 1",
        "Object.freeze(globalThis); Object.freeze(Object.prototype); return 1",
        "return new Proxy({}, { ownKeys: () => ['a'], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }), get() { throw 'x' } })",
        "}); globalThis.x = (function () { return 5",
    ]), @r#"
    Object.prototype.toJSON = () => 'mine'; return { a: 1 } => {"result":"mine"}
    JSON.stringify = () => '{"Failed": 1}'; return { a: 1 } => {"result":{"a":1}}
    globalThis.JSON = null; return { a: 1 } => {"result":{"a":1}}
    return { toJSON: () => ({ Failed: { message: 'x' } }) } => {"result":{"Failed":{"message":"x"}}}
    Object.prototype.result = 'mine'; Object.defineProperty(Object.prototype, 'Resul => {"result":{}}
    Array.prototype.toJSON = () => { throw new Error('mine') }; return [1] => input: the script threw Error: mine (line 1)
    return { toJSON() { throw 1 } } => input: the script threw a value that is no error (of the type int)
    return { get a() { throw new TypeError('getter') } } => input: the script threw TypeError: getter (line 1)
    return { get a() { return this } } => input: the script threw TypeError: circular reference
    return { get a() { return () => 1 } } => {"result":{}}
    Function.prototype.call = Function.prototype.apply = null; return 1 => {"result":1}
    Object.freeze(globalThis); Object.freeze(Object.prototype); return 1 => {"result":1}
    return new Proxy({}, { ownKeys: () => ['a'], getOwnPropertyDescriptor: () => ({  => input: the script threw x
    }); globalThis.x = (function () { return 5 => {"result":5}
    "#);
}

#[test]
fn anything_can_be_thrown() {
    insta::assert_snapshot!(check(script, &[
        "throw 'text'",
        "throw undefined",
        "throw 10n",
        "throw Symbol('x')",
        "throw { a: 1 }",
        "throw () => 1",
        "throw { get message() { throw 1 } }",
        "throw new Proxy(new Error('x'), { get() { throw 1 } })",
        "const e = new Error('x'); Object.defineProperty(e, 'message', { get() { throw 1 } }); throw e",
        "const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { throw 1 } }); throw e",
        "const e = new Error('x'); e.name = { toString() { throw 1 } }; e.message = {}; throw e",
        "Error.prepareStackTrace = () => { throw 1 }; throw new Error('x')",
        "globalThis.Error = null; throw new RangeError('x')",
        "throw new Error('a\\nb\\u0000c\\u001b[31m')",
    ]), @r"
    throw 'text' => input: the script threw text
    throw undefined => input: the script threw a value that is no error (of the type undefined)
    throw 10n => input: the script threw a value that is no error (of the type big_int)
    throw Symbol('x') => input: the script threw a value that is no error (of the type symbol)
    throw { a: 1 } => input: the script threw a value that is no error (of the type object)
    throw () => 1 => input: the script threw a value that is no error (of the type function)
    throw { get message() { throw 1 } } => input: the script threw a value that is no error (of the type object)
    throw new Proxy(new Error('x'), { get() { throw 1 } }) => input: the script threw a value that is no error (of the type proxy)
    const e = new Error('x'); Object.defineProperty(e, 'message', { get() { throw 1  => input: the script threw Error:  (line 1)
    const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { throw 1 }  => input: the script threw Error: x
    const e = new Error('x'); e.name = { toString() { throw 1 } }; e.message = {}; t => input: the script threw Error: [object Object] (line 1)
    Error.prepareStackTrace = () => { throw 1 }; throw new Error('x') => input: the script threw Error: x
    globalThis.Error = null; throw new RangeError('x') => input: the script threw RangeError: x (line 1)
    throw new Error('a\nb\u0000c\u001b[31m') => input: the script threw Error: a b c [31m (line 1)
    ");
    let long = show(script("throw new Error('x'.repeat(1e6))", Value::Null).perform_within(LONG));
    assert!(long.len() < 400, "{long}");
}
