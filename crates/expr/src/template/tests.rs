use std::sync::Arc;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn scope() -> Scope {
    Scope::new(json!({
        "alert": { "rule": { "level": 10, "description": "brute <force>" }, "data": { "srcip": "203.0.113.9", "url": "/?q=a b&c" } },
        "steps": { "host": { "name": "web-01", "groups": ["default", "web"], "note": null } },
    }))
}

fn check(source: &str) -> String {
    let compiled = match Template::compile(source) {
        Ok(compiled) => compiled,
        Err(error) => {
            let place = error.at.as_ref().and_then(|at| source.get(at.clone())).unwrap_or("?");
            return format!("{error} [{place}]");
        }
    };
    let scope = scope();
    if let Some(value) = compiled.eval_parts(&scope) {
        assert_eq!(compiled.eval_by_handlebars(&scope), Ok(value), "{source}");
    }
    match compiled.eval(&scope) {
        Ok(value) => value.to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn one_expression_keeps_its_type() {
    assert_eq!(check("{{ alert.rule.level }}"), "10");
    assert_eq!(check("{{steps.host.groups}}"), r#"["default","web"]"#);
    assert_eq!(check("{{ steps.host.groups.1 }}"), r#""web""#);
    assert_eq!(check("{{ gt alert.rule.level 5 }}"), "true");
    assert_eq!(check("{{default steps.host.nme 5}}"), "5");
    assert_eq!(check("{{default steps.host.note \"n/a\"}}"), "\"n/a\"");
    assert_eq!(check("{{default steps.host.groups.name 5}}"), "5");
    assert_eq!(check("plain"), "\"plain\"");
}

#[test]
fn what_calls_no_helper_is_looked_up_and_what_goes_wrong_is_left_to_handlebars() {
    let parts = |source: &str| {
        let (template, scope) = (Template::compile(source).unwrap(), scope());
        let value = template.eval_parts(&scope)?;
        assert_eq!(template.eval_by_handlebars(&scope), Ok(value.clone()), "{source}");
        Some(value.to_string())
    };
    assert_eq!(parts("{{ steps.host.groups }}").unwrap(), r#"["default","web"]"#);
    let text = "{{! a word }} {{{alert.rule.level}}}\n  {{~ steps.host.groups.1 ~}} {{ upper steps.host.name }} {{&alert.data.url}}";
    assert_eq!(parts(text).unwrap(), r#"" 10webWEB-01 /?q=a b&c""#);
    for source in [
        "{{ steps.host.note }}",
        "{{ steps.host.nme }}",
        "{{ steps.host.groups.name }}",
        "on {{ steps.host.groups }}",
        "on {{ steps.host.note }}",
        "on {{ steps.host.name.x }}",
        "{{#if steps.host}}a{{/if}}",
        "plain",
    ] {
        assert_eq!(parts(source), None, "{source}");
    }
}

fn templates() -> impl Strategy<Value = String> {
    let of = |all: &[&'static str]| prop::sample::select(all.to_vec());
    let paths = of(&[
        "alert",
        "alert.rule",
        "alert.rule.level",
        "alert.data.srcip",
        "alert.data.[srcip]",
        "steps",
        "steps.host",
        "steps.host.groups",
        "steps.host.groups.1",
        "steps.host.note",
        "steps.host.nme",
        "steps.nobody.name",
        "this",
    ]);
    let call = prop_oneof![
        paths.clone().prop_map(|path| format!("{{{{ {path} }}}}")),
        (of(&["json", "upper", "len"]), paths.clone())
            .prop_map(|(helper, path)| format!("{{{{ {helper} {path} }}}}")),
        (paths.clone(), paths.clone())
            .prop_map(|(path, other)| format!("{{{{ default {path} (json {other}) }}}}")),
        (paths.clone(), paths.clone())
            .prop_map(|(path, other)| format!("{{{{ json (concat {path} {other}) }}}}")),
        paths.prop_map(|path| format!("{{{{#if {path}}}}}a{{{{/if}}}}")),
    ];
    prop::collection::vec(prop_oneof![3 => call, 1 => Just("text".to_owned())], 1..4)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_part_of_the_data_and_data_in_parts_give_what_all_of_it_gives(source in templates()) {
        let Ok(template) = Template::compile(&source) else { return Ok(()) };
        let all = template.eval_by_handlebars(&scope());
        prop_assert_eq!(template.eval(&scope()), all.clone(), "{}", source);
        let mut in_parts = Scope::default();
        for path in [["alert", "rule"], ["alert", "data"], ["steps", "host"]] {
            in_parts.share(&path, Arc::new(scope().get(&path).unwrap().clone()));
        }
        prop_assert_eq!(template.eval(&in_parts), all, "{}", source);
    }
}

#[test]
fn lists_and_objects_are_put_together_and_keep_their_types() {
    assert_eq!(check(r#"{{ concat steps.host.groups "x" 7 }}"#), r#"["default","web","x",7]"#);
    assert_eq!(
        check(r#"{{ concat "x" steps.host.groups (concat "y" "z") }}"#),
        r#"["x","default","web","y","z"]"#
    );
    assert_eq!(check("{{ concat (default steps.host.nme null) steps.host.name }}"), r#"["web-01"]"#);
    assert_eq!(
        check(r#"{{ merge alert.rule level=(len steps.host.groups) host=steps.host.name }}"#),
        r#"{"description":"brute <force>","host":"web-01","level":2}"#
    );
    assert_eq!(check(r#"run {{ join (concat "a" steps.host.name) ":" }}"#), r#""run a:web-01""#);
    assert_snapshot!(check("{{ merge steps.host.groups a=1 }}"), @"`merge`: needs an object, not a list, in `{{ merge steps.host.groups a=1 }}`");
    assert_snapshot!(check("{{ merge alert.rule a=steps.host.nme }}"), @"`steps.host.nme` is missing: `steps.host` has groups, name, note, in `{{ merge alert.rule a=steps.host.nme }}`");
    assert_snapshot!(check("{{ merge alert.rule }}"), @"the helper `merge` needs named arguments, as in `key=value` [merge]");
    assert_snapshot!(check("{{ concat alert.rule a=1 }}"), @"the helper `concat` takes no named arguments [concat]");
    assert_snapshot!(check("tags {{ concat alert.rule }}"), @"a list stands inside text: write `{{json ...}}` to put it there as JSON, in `tags {{ concat alert.rule }}`");
}

#[test]
fn seconds_are_whole() {
    assert_eq!(check(r#"{{ seconds "3m" }}"#), "180");
    assert_eq!(check(r#"{{ seconds "2000ms" }}"#), "2");
    assert_eq!(check(r#"for {{ seconds "1h" }}s"#), "\"for 3600s\"");
    assert_snapshot!(check(r#"{{ seconds "500ms" }}"#), @r#"`seconds`: `500ms` is not a whole number of seconds, in `{{ seconds "500ms" }}`"#);
    assert_snapshot!(check(r#"{{ seconds alert.rule.level }}"#), @"`seconds`: `10` is not a duration: write a whole number with ms, s, m, h or d, as in `30s`, in `{{ seconds alert.rule.level }}`");
}

#[test]
fn lists_are_reshaped() {
    let check = |source: &str| {
        let hits =
            json!([{ "_id": "a", "_source": { "rule": { "id": "651" } } }, { "_id": "b", "_source": {} }]);
        let result =
            Template::compile(source).unwrap().eval(&Scope::new(json!({ "hits": hits, "none": [] })));
        result.map_or_else(|error| error.to_string(), |value| value.to_string())
    };
    assert_eq!(check(r#"{{ map hits "_id" }}"#), r#"["a","b"]"#);
    assert_eq!(check(r#"{{ map hits "_source.rule.id" }}"#), r#"["651",null]"#);
    let pairs = r#"{{ map hits "id" "_id" "rule" "_source.rule.id" }}"#;
    assert_eq!(check(pairs), r#"[{"id":"a","rule":"651"},{"id":"b"}]"#);
    assert_eq!(check(r#"{{ last (map hits "_id") }}"#), r#""b""#);
    assert_eq!(check("{{ last none }}"), "null");
    assert_snapshot!(check(r#"{{ map hits "a" "b" "c" }}"#), @r#"`map`: needs a path, or pairs of a key and a path, in `{{ map hits "a" "b" "c" }}`"#);
    assert_snapshot!(check(r#"{{ last "text" }}"#), @r#"`last`: needs a list, in `{{ last "text" }}`"#);
}

#[test]
fn in_text_it_becomes_text_without_escaping() {
    assert_eq!(
        check("{{ alert.rule.description }} on {{ steps.host.name }}"),
        r#""brute <force> on web-01""#
    );
    assert_eq!(check("level {{ alert.rule.level }}"), r#""level 10""#);
    assert_eq!(check("q={{ urlencode alert.data.url }}"), r#""q=%2F%3Fq%3Da%20b%26c""#);
    assert_eq!(check(r#"{{ base64 "??>" }} {{ base64url "??>?" }}"#), r#""Pz8+ Pz8-Pw""#);
    assert_eq!(check(r#"{{ slack "<!channel> a&b" }}"#), r#""&lt;!channel&gt; a&amp;b""#);
    assert_eq!(check("{{ upper (lower steps.host.name) }}!"), r#""WEB-01!""#);
    assert_eq!(check(r"a \{{b}}"), r#""a {{b}}""#);
}

#[test]
fn an_object_in_text_says_to_use_json() {
    assert_snapshot!(check("host: {{ steps.host }}"), @"an object stands inside text: write `{{json ...}}` to put it there as JSON, in `host: {{ steps.host }}`");
    assert_snapshot!(check("host: {{ json steps.host.groups }}"), @r#""host: [\"default\",\"web\"]""#);
}

#[test]
fn a_path_that_leads_nowhere_is_an_error_also_inside_an_argument() {
    assert_snapshot!(check("{{ steps.host.nme }}"), @"`steps.host.nme` is missing: `steps.host` has groups, name, note, in `{{ steps.host.nme }}`");
    assert_snapshot!(check("x {{ upper steps.host.nme }}"), @"`steps.host.nme` is missing: `steps.host` has groups, name, note, in `x {{ upper steps.host.nme }}`");
    assert_snapshot!(check("{{#if steps.hots.name}}x{{/if}}"), @"`steps.hots.name` is missing: `steps` has host, in `{{#if steps.hots.name}}x{{/if}}`");
    assert_snapshot!(check("{{ steps.host.note }}"), @"`steps.host.note` is null, in `{{ steps.host.note }}`");
}

#[test]
fn blocks_choose_and_repeat() {
    assert_eq!(check("{{#if (gt alert.rule.level 5)}}high{{else}}low{{/if}}"), "\"high\"");
    assert_eq!(check("{{#each steps.host.groups}}[{{this}}]{{/each}}"), "\"[default][web]\"");
}

#[test]
fn what_is_not_a_template_is_refused_with_its_place() {
    assert_snapshot!(check("a {{ uper steps.host.name }}"), @"there is no helper `uper` [uper]");
    assert_snapshot!(check("{{ upper }}"), @"the helper `upper` needs arguments [upper]");
    assert_snapshot!(check("{{ gt alert.rule.level }}"), @"the helper `gt` takes 2 arguments, not 1 [gt]");
    assert_snapshot!(check("{{#if x}}a{{/unless}}"), @"`{{#if}}` is closed by `{{/unless}}` [{{#if x}}]");
    assert_snapshot!(check("{{ alert.rule.level"), @"`{{` is never closed [{{ alert.rule.level]");
    assert_snapshot!(check("{{> other}}"), @"partials and decorators are not part of the playbook language [{{]");
    assert_snapshot!(check("{{#with alert}}{{/with}}"), @"there is no block `with` [with]");
}

#[test]
fn size_and_nesting_are_bounded() {
    assert!(Template::compile(&"{{a}}".repeat(201)).is_err());
    assert!(Template::compile(&"{{a}} ".repeat(2000)).is_err());
    assert!(Template::compile(&"{{#if a}}".repeat(5000)).is_err());
    assert!(
        Template::compile(&format!("{{{{upper {}a{}}}}}", "(lower ".repeat(40), ")".repeat(40))).is_err()
    );
}

#[test]
fn references_name_what_is_read() {
    let compiled =
        Template::compile("{{ alert.data.srcip }} {{ default steps.host.x steps.host.name }}").unwrap();
    let read: Vec<(String, bool)> = compiled.references().iter().map(|r| (r.text(), r.is_optional)).collect();
    let merged = Template::compile("{{ merge inputs.alert key=call.key }}").unwrap();
    assert_eq!(
        merged.references().iter().map(Reference::text).collect::<Vec<_>>(),
        ["inputs.alert", "call.key"]
    );
    let expected = [("alert.data.srcip", false), ("steps.host.x", true), ("steps.host.name", false)];
    assert_eq!(read, expected.map(|(path, is_optional)| (path.to_owned(), is_optional)));
}
