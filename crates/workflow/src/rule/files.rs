//! Rules on nodes, products and the configuration.

use super::Example::Text;
use super::{About, Rule};
use crate::diagnostic::Severity::Error;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "no-value",
        severity: Error,
        about: About::Expression,
        summary: "the expression has no value over this alert",
        why: "A path leads nowhere, or a value is of another type than the expression needs. In a run the step fails: ask \
              with `has(...)`, or give a value for that case with `default`.",
        wrong: Text("# on an alert without data.dstuser\nalert.data.dstuser == \"root\"\n"),
        right: Text(
            "# on an alert without data.dstuser\nhas(alert.data.dstuser) && alert.data.dstuser == \"root\"\n",
        ),
    },
    Rule {
        id: "duplicate-node",
        severity: Error,
        about: About::Node,
        summary: "two nodes with one name",
        why: "A node of your own cannot take the place of one of the catalogue: a playbook that was checked against \
              one would run with the other.",
        wrong: Text(
            r#"node: wazuh.get_agent
summary: Our own way to read an agent.
connection: wazuh
effect: read
on_doubt: retry
request: { method: GET, path: /agents }
"#,
        ),
        right: Text(
            r#"node: wazuh.count_agents
summary: How many agents there are.
connection: wazuh
effect: read
on_doubt: retry
request: { method: GET, path: /agents/summary/status }
"#,
        ),
    },
    Rule {
        id: "unknown-root",
        severity: Error,
        about: About::Node,
        summary: "an expression of a node or a recipe reads what is not there",
        why: "A node sees its `inputs`; what reads the answer also sees `connection` (what is not secret of it) and \
              `response`. Playbooks and alerts are not known there.",
        wrong: Text(
            r#"node: wazuh.count_agents
summary: How many agents there are.
connection: wazuh
effect: read
on_doubt: retry
request: { method: GET, path: /agents/summary/status }
output: { count: "{{ respons.json.data.connection.total }}" }
"#,
        ),
        right: Text(
            r#"node: wazuh.count_agents
summary: How many agents there are.
connection: wazuh
effect: read
on_doubt: retry
request: { method: GET, path: /agents/summary/status }
output: { count: "{{ response.json.data.connection.total }}" }
"#,
        ),
    },
    Rule {
        id: "unescaped-path",
        severity: Error,
        about: About::Node,
        summary: "an input stands in the path of a node's request as it came",
        why: "`../` or `?` in the input would make another call of it. Inputs of type `agent_id` and `integer` cannot hold \
              such a thing.",
        wrong: Text(
            r#"node: wazuh.get_group
summary: Read one group.
connection: wazuh
effect: read
on_doubt: retry
inputs: { group: { type: string, required: true, summary: The group. } }
request: { method: GET, path: "/groups/{{ inputs.group }}/agents" }
"#,
        ),
        right: Text(
            r#"node: wazuh.get_group
summary: Read one group.
connection: wazuh
effect: read
on_doubt: retry
inputs: { group: { type: string, required: true, summary: The group. } }
request: { method: GET, path: "/groups/{{ urlencode inputs.group }}/agents" }
"#,
        ),
    },
    Rule {
        id: "duplicate-product",
        severity: Error,
        about: About::Node,
        summary: "two recipes for one product",
        why: "How the program logs in to a product stands in one `connection.yaml`. A recipe of your own takes another \
              name for its product.",
        wrong: Text("product: wazuh\nsummary: Our Wazuh.\nlogin: none\n"),
        right: Text("product: wazuh_branch\nsummary: Our Wazuh.\nlogin: none\n"),
    },
    Rule {
        id: "unknown-product",
        severity: Error,
        about: About::Settings,
        summary: "a connection, or a node's `connection`, names a product that nothing describes",
        why: "A connection with the name of a product needs no `product:`; any other name does. The products are those \
              with a `connection.yaml` in the catalogue or in the folder of `nodes:`.",
        wrong: Text("data_dir: data\nconnections:\n  theive: { url: https://thehive.example }\n"),
        right: Text(
            "data_dir: data\nconnections:\n  thehive: { url: https://thehive.example, key: { file: secret } }\n",
        ),
    },
    Rule {
        id: "missing-path",
        severity: Error,
        about: About::Settings,
        summary: "a folder or a file that the configuration names does not exist",
        why: "Relative paths begin at the folder of the configuration, not at the one in which the command was given.",
        wrong: Text("data_dir: data\nworkflows: playbooks\n"),
        right: Text("data_dir: data\nworkflows: workflows\n"),
    },
    Rule {
        id: "missing-secret",
        severity: Error,
        about: About::Settings,
        summary: "the environment variable or the file of a secret is not there",
        why: "A server that starts without its secret would refuse every alert, or be refused by every product, and say \
              so only when it matters.",
        wrong: Text("data_dir: data\nhooks:\n  wazuh: { secret: { file: no-such-file } }\n"),
        right: Text("data_dir: data\nhooks:\n  wazuh: { secret: { file: secret } }\n"),
    },
    Rule {
        id: "empty-secret",
        severity: Error,
        about: About::Settings,
        summary: "a secret is empty",
        why: "An empty secret would let everybody in.",
        wrong: Text("data_dir: data\nhooks:\n  wazuh: { secret: { file: empty } }\n"),
        right: Text("data_dir: data\nhooks:\n  wazuh: { secret: { file: secret } }\n"),
    },
    Rule {
        id: "duplicate-token",
        severity: Error,
        about: About::Settings,
        summary: "two people with one token, or two tokens with one name",
        why: "The journal says who approved. With a shared token nobody could tell.",
        wrong: Text(
            r#"data_dir: data
api:
  tokens:
    - { name: ana, token: { file: secret } }
    - { name: bo, token: { file: secret } }
"#,
        ),
        right: Text(
            r#"data_dir: data
api:
  tokens:
    - { name: ana, token: { file: secret } }
"#,
        ),
    },
];
