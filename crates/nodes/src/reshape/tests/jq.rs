use super::*;
use crate::reshape::jq::{definitions, functions};

#[test]
fn a_filter_gives_one_value() {
    insta::assert_snapshot!(check(filter, &[
        "[1, 2] | map(. * 2)",
        r#"{a: "x\(1 + 1)", b: ([3, 1] | sort)}"#,
        r#""b,a" | split(",") | sort | join("-")"#,
        r#""sshd[7]: Failed" | capture("\\[(?<pid>[0-9]+)\\]") | .pid | tonumber"#,
        r#""x" | @base64, @uri | [.]"#,
        "[limit(3; repeat(1))]",
        "first(range(1e12))",
        "try error(\"x\") catch .",
        "null",
    ]), @r#"
    [1, 2] | map(. * 2) => {"result":[2,4]}
    {a: "x\(1 + 1)", b: ([3, 1] | sort)} => {"result":{"a":"x2","b":[1,3]}}
    "b,a" | split(",") | sort | join("-") => {"result":"a-b"}
    "sshd[7]: Failed" | capture("\\[(?<pid>[0-9]+)\\]") | .pid | tonumber => {"result":7}
    "x" | @base64, @uri | [.] => input: the filter gives more than one value | a step has one result: write `[ ... ]` around the filter for a list of all that it gives
    [limit(3; repeat(1))] => {"result":[1,1,1]}
    first(range(1e12)) => {"result":0}
    try error("x") catch . => {"result":"x"}
    null => {"result":null}
    "#);
}

#[test]
fn what_goes_wrong_is_said() {
    insta::assert_snapshot!(check(filter, &[
        "1, 2",
        "repeat(1)",
        "empty",
        "error(\"no address\")",
        "error({a: 1})",
        "\"a\" + 1",
        "{a: 1",
        ".a |",
        "fro(1)",
        "$x",
        "nan",
        "1 / 0",
        "[1] | tobytes",
        "{([1]): 2}",
        "reduce range(65) as $i (0; [.])",
        "reduce range(500) as $i (0; [.]) | tojson | length",
        "\"ab\" * 2000000",
    ]), @r#"
    1, 2 => input: the filter gives more than one value | a step has one result: write `[ ... ]` around the filter for a list of all that it gives
    repeat(1) => input: the filter gives more than one value | a step has one result: write `[ ... ]` around the filter for a list of all that it gives
    empty => input: the filter gives nothing | a step has one result: write `[ ... ]` around the filter for a list of all that it gives
    error("no address") => input: the filter failed: no address
    error({a: 1}) => input: the filter failed: {"a":1}
    "a" + 1 => input: the filter failed: cannot calculate "a" + 1
    {a: 1 => input: the filter cannot be read: expected closing brace at line 1, column 6
    .a | => input: the filter cannot be read: expected term at line 1, column 5
    fro(1) => input: there is no function `fro/1` (at line 1, column 1)
    $x => input: there is no variable `$x` (at line 1, column 1) | pass it: `vars: { x: ... }`
    nan => input: the result is no JSON that can be kept (expected value at line 1 column 1): NaN
    1 / 0 => input: the result is no JSON that can be kept (expected value at line 1 column 1): Infinity
    [1] | tobytes => input: the result is no JSON that can be kept (expected value at line 1 column 1): b"\x01"
    {([1]): 2} => input: the result is no JSON that can be kept (key must be a string at line 1 column 2): {[1]:2}
    reduce range(65) as $i (0; [.]) => input: the result stands more than 64 levels deep
    reduce range(500) as $i (0; [.]) | tojson | length => {"result":1001}
    "ab" * 2000000 => input: the result has more than 2097152 bytes as JSON
    "#);
}

#[test]
fn nothing_outside_is_in_reach() {
    insta::assert_snapshot!(check(filter, &[
        "env.PATH",
        "$ENV",
        "input",
        "[inputs]",
        "input_filename",
        "now",
        "0 | todate",
        "halt",
        "halt_error(1)",
        "debug",
        "debug(1)",
        "stderr",
        "$__loc__",
        "$__prog_args",
        "get_search_list",
        "\"x\" | @base32d",
        "include \"/etc/passwd\"; .",
        "import \"a\" as a; a::b",
        "import \"/etc/passwd\" as $a; $a",
        "\"debug\" | getpath([])",
    ]), @r#"
    env.PATH => input: there is no function `env/0` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    $ENV => input: there is no variable `$ENV` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    input => input: there is no function `input/0` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    [inputs] => input: there is no function `inputs/0` (at line 1, column 2) | a filter sees its inputs and no clock: pass what it needs with `vars`
    input_filename => input: there is no function `input_filename/0` (at line 1, column 1)
    now => input: there is no function `now/0` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    0 | todate => input: there is no function `todate/0` (at line 1, column 5) | a filter sees its inputs and no clock: pass what it needs with `vars`
    halt => input: there is no function `halt/0` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    halt_error(1) => input: there is no function `halt_error/1` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    debug => input: there is no function `debug/0` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    debug(1) => input: there is no function `debug/1` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    stderr => input: there is no function `stderr/0` (at line 1, column 1) | a filter sees its inputs and no clock: pass what it needs with `vars`
    $__loc__ => input: there is no variable `$__loc__` (at line 1, column 1) | pass it: `vars: { __loc__: ... }`
    $__prog_args => input: there is no variable `$__prog_args` (at line 1, column 1) | pass it: `vars: { __prog_args: ... }`
    get_search_list => input: there is no function `get_search_list/0` (at line 1, column 1)
    "x" | @base32d => input: there is no function `@base32d/0` (at line 1, column 7)
    include "/etc/passwd"; . => input: the filter cannot be read: a filter has no modules: `import` and `include` do not work here
    import "a" as a; a::b => input: the filter cannot be read: a filter has no modules: `import` and `include` do not work here
    import "/etc/passwd" as $a; $a => input: the filter cannot be read: a filter has no modules: `import` and `include` do not work here
    "debug" | getpath([]) => {"result":"debug"}
    "#);
}

#[test]
fn what_never_ends_is_ended() {
    check_endless(
        filter,
        &[
            "def f: f; f",
            "last(range(1e12))",
            "[limit(1e9; empty, repeat(empty))]",
            "until(false; .)",
            "first(repeat(1) | select(. == 2))",
            "label $x | while(true; .) | select(false)",
            "any(range(1e12); . < 0)",
            "reduce range(1e12) as $i (0; . + 1)",
        ],
    );
}

#[test]
fn what_takes_too_much_memory_is_ended() {
    check_greedy(
        filter,
        "128 MiB",
        &[
            "\"a\" * 1000000000",
            "reduce range(60) as $i (\"a\"; . + .)",
            "[range(1e12)]",
            "def f(x): f(x | x); f(1)",
        ],
    );
}

#[test]
fn what_goes_too_deep_is_ended() {
    let brackets = "[".repeat(100_000);
    let parentheses = "(".repeat(100_000) + "1" + &")".repeat(100_000);
    let sum = "1".to_owned() + &" + 1".repeat(100_000);
    insta::assert_snapshot!(check(filter, &[
        "def f: 1 + f; f",
        "def f: [f]; f",
        "def f: f | f; f",
        "def f: try f catch f; f",
        "\"[\" * 1000000 | fromjson",
        "reduce range(200000) as $i (0; [.]) | tojson",
        "reduce range(200000) as $i (0; [.]) | .. |= 1",
        &brackets,
        &parentheses,
        &sum,
    ]), @r#"
    def f: 1 + f; f => input: the filter went too deep: it calls itself without end, or what it builds does not end
    def f: [f]; f => input: the filter went too deep: it calls itself without end, or what it builds does not end
    def f: f | f; f => input: the filter went too deep: it calls itself without end, or what it builds does not end
    def f: try f catch f; f => input: the filter went too deep: it calls itself without end, or what it builds does not end
    "[" * 1000000 | fromjson => input: the filter went too deep: it calls itself without end, or what it builds does not end
    reduce range(200000) as $i (0; [.]) | tojson => input: the filter went too deep: it calls itself without end, or what it builds does not end
    reduce range(200000) as $i (0; [.]) | .. |= 1 => input: the filter went too deep: it calls itself without end, or what it builds does not end
    [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ => input: the filter went too deep: it calls itself without end, or what it builds does not end
    (((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((( => input: the filter went too deep: it calls itself without end, or what it builds does not end
    1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 +  => input: the filter went too deep: it calls itself without end, or what it builds does not end
    "#);
}

#[test]
fn regular_expressions_take_linear_time() {
    insta::assert_snapshot!(check(filter, &[
        "\"a\" * 5000 + \"b\" | test(\"^(a|a)*$\")",
        "[\"a\" * 50 + \"b\" | splits(\"(a*)*c\")] | length",
        "\"x\" | test(\"(a?){1000}{1000}\")",
        "\"x\" | test(\"(\")",
    ]), @r#"
    "a" * 5000 + "b" | test("^(a|a)*$") => {"result":false}
    ["a" * 50 + "b" | splits("(a*)*c")] | length => {"result":1}
    "x" | test("(a?){1000}{1000}") => input: the filter failed: invalid regex: compiled regex exceeded size limit
    "x" | test("(") => input: the filter failed: invalid regex: found open group without closing ')'
    "#);
}

#[test]
fn long_paths_are_walked() {
    insta::assert_snapshot!(check(filter, &[
        "getpath([range(1000) | \"a\"])",
        "[limit(5; paths)]",
        "setpath([range(20) | \"a\"]; 1) | [paths] | length",
        "null | getpath([\"a\", 0, \"b\"])",
    ]), @r#"
    getpath([range(1000) | "a"]) => {"result":null}
    [limit(5; paths)] => {"result":[]}
    setpath([range(20) | "a"]; 1) | [paths] | length => input: the filter failed: cannot use null as iterable (array or object)
    null | getpath(["a", 0, "b"]) => {"result":null}
    "#);
}

#[test]
fn values_come_in_by_name() {
    let vars = json!({ "ip": "192.0.2.1", "list": [1, { "a": null }] });
    let Value::Object(vars) = vars else { unreachable!("an object") };
    let task =
        |filter: &str| Task::Jq { filter: filter.to_owned(), data: json!({ "a": 1 }), vars: vars.clone() };
    assert_eq!(
        show(task("[.a, $ip, $list]").perform_within(LONG)),
        r#"{"result":[1,"192.0.2.1",[1,{"a":null}]]}"#
    );
    // What an attacker has written is data.
    let data = json!("\") | env | (\"\\(1)");
    assert_eq!(show(filter(".", data.clone()).perform_within(LONG)), json!({ "result": data }).to_string());
}

/// All that a filter can call, so that a new version of jaq brings nothing unseen.
#[test]
fn the_functions_of_a_filter_are_known() {
    let defined = definitions().map(|definition| format!("{}/{}", definition.name, definition.args.len()));
    let native = functions().map(|(name, arguments, _)| format!("{name}/{}", arguments.len()));
    let mut names: Vec<String> = defined.chain(native).collect();
    names.sort();
    names.dedup();
    insta::assert_snapshot!(names.join(" "), @"@base64/0 @base64d/0 @html/0 @htmld/0 @json/0 @sh/0 @text/0 @uri/0 @urid/0 abs/0 acos/0 acosh/0 add/0 add/1 all/0 all/1 all/2 any/0 any/1 any/2 arrays/0 ascii_downcase/0 ascii_upcase/0 asin/0 asinh/0 atan/0 atan2/2 atanh/0 booleans/0 bsearch/1 capture/1 capture/2 capture_of_match/0 cbrt/0 ceil/0 combinations/0 combinations/1 contains/1 copysign/2 cos/0 cosh/0 decode_base64/0 decode_uri/0 del/1 delpaths/1 drem/2 empty/0 encode_base64/0 encode_uri/0 endswith/1 erf/0 erfc/0 error/0 error/1 error_empty/0 escape_html/0 escape_sh/0 exp/0 exp10/0 exp2/0 explode/0 expm1/0 fabs/0 false/0 fdim/2 finites/0 first/0 first/1 flatten/0 flatten/1 floor/0 fma/3 fmax/2 fmin/2 fmod/2 frexp/0 from_entries/0 fromjson/0 gamma/0 getpath/1 group_by/1 gsub/2 gsub/3 has/1 hypot/2 ilogb/0 implode/0 in/1 index/1 indices/1 infinite/0 inside/1 isarray/0 isboolean/0 isempty/1 isfinite/0 isinfinite/0 isnan/0 isnormal/0 isnumber/0 isobject/0 isstring/0 iterables/0 j0/0 j1/0 jn/2 join/1 key_values/0 keys/0 keys_unsorted/0 last/0 last/1 ldexp/2 length/0 lgamma/0 limit/2 log/0 log10/0 log1p/0 log2/0 logb/0 ltrim/0 ltrimstr/1 map/1 map_values/1 match/1 match/2 matches/2 max/0 max_by/1 max_by_or_empty/1 min/0 min_by/1 min_by_or_empty/1 modf/0 nan/0 nearbyint/0 nextafter/2 nexttoward/2 normals/0 not/0 nth/1 nth/2 null/0 nulls/0 numbers/0 objects/0 path/1 path_value/1 paths/0 paths/1 pick/1 pow/2 pow10/0 range/1 range/2 range/3 recurse/0 recurse/1 recurse/2 remainder/2 repeat/1 reverse/0 rindex/1 rint/0 round/0 rtrim/0 rtrimstr/1 scalars/0 scalb/2 scalbln/2 scan/1 scan/2 scan_/2 select/1 setpath/2 significand/0 sin/0 sinh/0 skip/2 sort/0 sort_by/1 split/1 split/2 split_/2 split_matches/2 splits/1 splits/2 sqrt/0 startswith/1 strings/0 sub/2 sub/3 tan/0 tanh/0 test/1 test/2 tgamma/0 to_entries/0 toboolean/0 tobytes/0 tojson/0 tonumber/0 tostring/0 totype/2 transpose/0 trim/0 true/0 trunc/0 type/0 unescape_html/0 unique/0 unique_by/1 until/2 utf8bytelength/0 values/0 walk/1 while/2 with_entries/1 y0/0 y1/0 yn/2");
}
