//! JavaScript, as QuickJS does it, without a clock, without chance, without modules.

use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::{CatchResultExt as _, CaughtError, Context, Ctx, FromJs, Function, Runtime, Value as JsValue};
use serde_json::Value;

use super::{Refusal, read_result, shorten};

/// How much memory a script may take: less than the process, so that it is QuickJS that says so.
const MEMORY: usize = 64 * 1024 * 1024;
/// How much stack; the thread has much more, for what QuickJS does not count.
const STACK: usize = 1024 * 1024;

/// What is there besides the language itself: nothing that knows the time or depends on the collector.
type Library = (
    intrinsic::Date,
    intrinsic::Eval,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Proxy,
    intrinsic::MapSet,
    intrinsic::TypedArrays,
    intrinsic::Promise,
);

/// A step gives the same when it is run again, so nothing here knows the time, or throws dice.
const PRELUDE: &str = r#"(() => {
    const refuse = (name) => {
        throw new Error(`${name} is not there: a step gives the same when it is run again, so pass the value with data`);
    };
    Math.random = () => refuse("Math.random()");
    const real = Date;
    delete real.now;
    globalThis.Date = new Proxy(real, {
        apply: () => refuse("the time of day"),
        construct: (target, values, made) =>
            values.length === 0 ? refuse("the time of day") : Reflect.construct(target, values, made),
        get: (target, name, self) =>
            name === "now" ? () => refuse("the time of day") : Reflect.get(target, name, self),
    });
    real.prototype.constructor = globalThis.Date;
})()"#;

/// The name of the script in stacks.
const FILE: &str = "script";

/// What the function returns whose body this is; it sees `data`.
pub(super) fn run(code: &str, data: &Value) -> Result<Value, Refusal> {
    let broken = |error: rquickjs::Error| Refusal::new(format!("no script can be run: {error}"));
    let runtime = Runtime::new().map_err(broken)?;
    runtime.set_memory_limit(MEMORY);
    runtime.set_max_stack_size(STACK);
    let context = Context::custom::<Library>(&runtime).map_err(broken)?;
    let text = context.with(|context| {
        eval::<()>(&context, "prelude", PRELUDE.to_owned()).map_err(broken)?;
        let result = call(&context, code, data).catch(&context).map_err(|error| failed(&error))?;
        if result.is_undefined() {
            return Err(Refusal::new("the script returns nothing").help("end it with `return ...`"));
        }
        if result.is_promise() {
            return Err(Refusal::new("the script returns a promise")
                .help("there is nothing to wait for: leave out `async` and `await`"));
        }
        let text =
            context.json_stringify(result).and_then(|text| text.map(|text| text.to_string()).transpose());
        let text = text.catch(&context).map_err(|error| failed(&error))?;
        text.ok_or_else(|| Refusal::new("the script returns what JSON cannot hold: a function or a symbol"))
    })?;
    read_result(&text)
}

fn call<'js>(context: &Ctx<'js>, code: &str, data: &Value) -> rquickjs::Result<JsValue<'js>> {
    // The body begins on the first line, so that the lines in messages are those of the code.
    let function: Function<'_> = eval(context, FILE, format!("(function (data) {{ {code}\n}})"))?;
    function.call((context.json_parse(data.to_string())?,))
}

fn eval<'js, T: FromJs<'js>>(context: &Ctx<'js>, file: &str, code: String) -> rquickjs::Result<T> {
    let mut options = EvalOptions::default();
    options.filename = Some(file.to_owned());
    context.eval_with_options(code, options)
}

/// What a script died of.
fn failed(error: &CaughtError<'_>) -> Refusal {
    let what = match error {
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            if message == "out of memory" {
                return too_large();
            }
            let name = exception.get::<_, String>("name").unwrap_or_else(|_| "Error".to_owned());
            let line = line(&exception.stack().unwrap_or_default());
            format!("{}: {}{line}", shorten(&name), shorten(&message))
        }
        // Where there is no memory for an error, QuickJS throws null.
        CaughtError::Value(value) if value.is_null() => return too_large(),
        CaughtError::Value(value) => match value.as_string().and_then(|text| text.to_string().ok()) {
            Some(text) => shorten(&text),
            None => format!("a value that is no error (of the type {})", value.type_name()),
        },
        CaughtError::Error(error) => error.to_string(),
    };
    Refusal::new(format!("the script threw {what}"))
}

fn too_large() -> Refusal {
    Refusal::new(format!("the script took more than {} MiB of memory", MEMORY / 1024 / 1024))
}

/// The line of the script that stands first in a stack.
fn line(stack: &str) -> String {
    let place = stack.split(&format!("{FILE}:")).nth(1).unwrap_or_default();
    let digits: String = place.chars().take_while(char::is_ascii_digit).collect();
    if digits.is_empty() { digits } else { format!(" (line {digits})") }
}
