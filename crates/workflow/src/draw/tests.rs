use insta::assert_snapshot;

use super::layout::{Line, layout};
use super::*;
use crate::catalog::Catalog;
use crate::load::{Draft, load};

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let nodes = [
        "node: webhook\nsummary: x\ntrigger: webhook\ninputs:\n  path: { type: string, required: true, summary: x }\n",
        "node: manual\nsummary: x\ntrigger: manual\ninputs:\n  roles: { type: list, summary: x }\n",
        "node: set\nsummary: x\neffect: read\non_doubt: retry\nengine: set\n",
        "node: approval\nsummary: x\neffect: read\non_doubt: ask\nengine: approval\n",
        "node: delay\nsummary: x\neffect: read\non_doubt: retry\nengine: delay\ninputs:\n  for: { type: duration, required: true, summary: x }\n",
        "node: workflow\nsummary: x\neffect: read\non_doubt: retry\nengine: workflow\ninputs:\n  workflow: { type: string, required: true, summary: x }\n",
        "node: look\nsummary: x\neffect: read\non_doubt: retry\nrequest: { method: GET, path: /a }\n",
        "node: note\nsummary: x\neffect: write\non_doubt: retry\nrequest: { method: POST, path: /a }\n",
        "node: free\nsummary: x\neffect: write\non_doubt: retry\nrequest: { method: PUT, path: /a }\n",
        "node: hold\nsummary: x\neffect: disrupt\non_doubt: ask\ntarget: x\nundo: { uses: free }\nrequest: { method: PUT, path: /a }\n",
        "node: block\nsummary: x\neffect: disrupt\non_doubt: ask\ntarget: x\nrequest: { method: PUT, path: /a }\n",
    ];
    for node in nodes {
        catalog.add("node.yaml", node).unwrap();
    }
    let callee = "workflow: enrich\ninputs: { hash: { type: string }, ip: { type: ip } }\nsteps:\n  - { id: a, uses: look }\n";
    catalog.add_workflow(Draft::parse("enrich.yaml", callee).unwrap().signature().unwrap());
    catalog
}

fn workflow(text: &str) -> Workflow {
    let (workflow, findings) = load("playbook.yaml", text, &catalog());
    workflow.unwrap_or_else(|| panic!("{findings}"))
}

/// Every kind of shape and of line.
const ALL: &str = r#"workflow: all
triggers:
  - { uses: webhook, with: { path: wazuh }, when: alert.level > 9 }
  - { uses: manual, with: { roles: [analyst] } }
steps:
  - { id: host, uses: look, on_error: continue }
  - { id: files, needs: [], foreach: alert.files, as: file, max_items: 9, uses: workflow, with: { workflow: enrich } }
  - { id: facts, needs: [host, files], uses: set, with: { x: "1" } }
  - { id: pause, uses: delay, with: { for: 10m } }
  - { id: agreed, needs: [pause], if: vars.x, uses: approval, with: { ask: "Sure?", from: { role: lead, count: 2 }, expires: 1h } }
  - id: stop
    needs: [facts, host, agreed]
    title: Stop {{ alert.agent.id }}
    uses: block
    approval: { ask: "Stop it?", from: { role: analyst }, expires: 30m, skip_if: alert.sure }
  - { id: end, if: status.stop != "", uses: note }
on_failure:
  - { id: tell, uses: note }
vars: { x: true }
"#;

#[test]
fn a_flowchart_tells_everything_by_shape_and_by_word() {
    assert_snapshot!(draw(&workflow(ALL), Format::Mermaid), @r#"
    flowchart TB
      trigger_0(["webhook /hooks/wazuh<br/>when alert.level #62; 9"])
      trigger_1(["by hand: analyst"])
      step_host("host<br/>reads · look")
      step_files[["files<br/>runs a playbook enrich<br/>for each file in alert.files, at most 9"]]
      step_facts[/"facts<br/>computes · set"/]
      step_pause[/"pause<br/>waits 10m"\]
      step_agreed{{"agreed<br/>Sure?<br/>asks 2 of role lead<br/>lapses after 1h<br/>if vars.x"}}
      gate_stop{{"gate<br/>asks analyst<br/>lapses after 30m<br/>not if alert.sure"}}
      step_stop[\"stop<br/>Stop #123;#123; alert.agent.id #125;#125;<br/>DISRUPTS · block"/]
      step_end["end<br/>writes · note<br/>if status.stop #33;#61; #34;#34;"]
      start((" "))
      gate_stop ==> step_stop
      step_host -.-> step_facts
      step_files --> step_facts
      step_facts --> step_pause
      step_pause --> step_agreed
      step_agreed --> gate_stop
      step_stop -.-> step_end
      trigger_0 --> start
      trigger_1 --> start
      start --> step_host
      start --> step_files
      subgraph part_1 ["on failure: when the run has failed"]
        step_tell["tell<br/>writes · note"]
      end
      class step_files call
      class step_facts compute
      class step_agreed,gate_stop,step_end conditional
      class step_stop disrupt
      class step_agreed,gate_stop gate
      class start junction
      class step_host read
      class trigger_0,trigger_1 trigger
      class step_pause wait
      class step_end,step_tell write
      classDef trigger fill:#fbefff,stroke:#8250df,color:#1f2328,stroke-width:1px
      classDef junction fill:#737b85,stroke:#737b85,color:#1f2328,stroke-width:1px
      classDef gate fill:#fff8c5,stroke:#9a6700,color:#1f2328,stroke-width:1px
      classDef compute fill:#f6f8fa,stroke:#6e7781,color:#1f2328,stroke-width:1px
      classDef wait fill:#f6f8fa,stroke:#6e7781,color:#1f2328,stroke-width:1px
      classDef read fill:#ddf4ff,stroke:#0969da,color:#1f2328,stroke-width:1px
      classDef write fill:#dafbe1,stroke:#1a7f37,color:#1f2328,stroke-width:1px
      classDef disrupt fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-width:4px
      classDef call fill:#ecebff,stroke:#4b4acf,color:#1f2328,stroke-width:1px
      classDef conditional stroke-dasharray:6 4
    "#);
}

#[test]
fn all_formats_show_the_same() {
    let workflow = workflow(ALL);
    let picture = Picture::of(&workflow);
    let [mermaid, dot, svg] =
        [Format::Mermaid, Format::Dot, Format::Svg].map(|format| draw(&workflow, format));
    let (mut shapes, mut edges) = (0, 0);
    for part in &picture.parts {
        for shape in &part.shapes {
            assert!(
                mermaid.contains(&format!("  {}", shape.key)) && dot.contains(&format!("  {} [", shape.key))
            );
            assert!(
                svg.contains(&format!(">{}<", shape.heading)) || shape.heading.is_empty(),
                "{}",
                shape.heading
            );
        }
        shapes += part.shapes.len();
        edges += part.edges.len();
    }
    let count = |text: &str, what: &str| text.matches(what).count();
    assert_eq!(shapes, 12);
    assert_eq!(count(&mermaid, "-->") + count(&mermaid, "-.->") + count(&mermaid, "==>"), edges);
    assert_eq!(count(&dot, " -> "), edges);
    assert_eq!(count(&dot, "label=\""), shapes + 1, "the part for failures has one too");
}

#[test]
fn a_playbook_that_others_call_says_what_it_takes() {
    let text = "workflow: w\ninputs: { hash: { type: string }, ip: { type: ip } }\nsteps:\n  - { id: a, uses: look }\n";
    assert_snapshot!(draw(&workflow(text), Format::Mermaid), @r#"
    flowchart TB
      trigger_0(["called by another playbook<br/>with hash, ip"])
      step_a("a<br/>reads · look")
      trigger_0 --> step_a
      class step_a read
      class trigger_0 trigger
      classDef trigger fill:#fbefff,stroke:#8250df,color:#1f2328,stroke-width:1px
      classDef read fill:#ddf4ff,stroke:#0969da,color:#1f2328,stroke-width:1px
    "#);
}

#[test]
fn hostile_texts_stay_texts() {
    let title =
        "</text><script>alert(1)</script> & \\\"x\\\" ' `y` \\\\N #quot; %%(init)%% --> a\u{202e}b]] end";
    let condition = "'</text>]]>' == '-->'";
    let text = format!(
        "workflow: w\nsteps:\n  - {{ id: end, title: \"{title}\", if: \"{condition}\", uses: look }}\n"
    );
    let workflow = workflow(&text);
    let line = |format, key: &str| {
        let text = draw(&workflow, format);
        text.lines().find(|line| line.contains(key)).unwrap_or_default().to_owned()
    };
    assert_snapshot!(line(Format::Mermaid, "step_end("), @r#"  step_end("end<br/>#60;/text#62;#60;script#62;alert#40;1#41;#60;/script#62; #38; #34;x#34; ' #96;y#96; #92;N #35;quot#59; #37;#37;#40;init#41;#37;#37; --#62; ab#93;#93; end<br/>reads · look<br/>if '#60;/text#62;#93;#93;#62;' #61;#61; '--#62;'")"#);
    assert_snapshot!(line(Format::Dot, "step_end ["), @r##"  step_end [label="end\n</text><script>alert(1)</script> &amp; \"x\" ' `y` \\N #quot; %%(init)%% --> ab]] end\nreads · look\nif '</text>]]>' == '-->'", shape=box, style="filled,rounded,dashed", fillcolor="#ddf4ff", color="#0969da"];"##);
    let svg = draw(&workflow, Format::Svg);
    for tag in svg.split('<').skip(1) {
        let name = tag.trim_start_matches('/').split([' ', '>']).next().unwrap_or_default();
        assert!(["svg", "title", "path", "text", "rect"].contains(&name), "{name}");
    }
    assert!(!svg.contains('\u{202e}') && !svg.contains("href") && !svg.contains("url("));
}

/// Boxes of different sizes and lines between them, the same for the same seed.
fn scene(seed: u64, count: usize) -> (Vec<(f64, f64)>, Vec<Line<bool>>) {
    let mut state = seed;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let boxes = (0..count).map(|_| (40.0 + random(200) as f64, 20.0 + random(80) as f64)).collect();
    let mut lines = Vec::new();
    for to in 1..count {
        for _ in 0..random(3) {
            lines.push(Line { from: random(to), to, style: random(2) == 0 });
        }
    }
    lines.dedup();
    (boxes, lines)
}

#[test]
fn boxes_never_touch_and_lines_lead_down() {
    for seed in 0..60 {
        let (boxes, lines) = scene(seed, 2 + seed as usize);
        let layout = layout(&boxes, &lines);
        let rects: Vec<[f64; 4]> = (boxes.iter().zip(&layout.tops))
            .map(|((width, height), (x, y))| [x - width / 2.0, *y, x + width / 2.0, y + height])
            .collect();
        for (index, a) in rects.iter().enumerate() {
            assert!(a[0] > -0.01 && a[2] <= layout.width + 0.01 && a[3] <= layout.height + 0.01);
            let touches = |b: &&[f64; 4]| a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
            assert_eq!(rects[index + 1..].iter().find(touches), None, "seed {seed}: {a:?}");
        }
        assert!(layout.wires.iter().all(|wire| wire.from.1 < wire.to.1 && wire.band.0 < wire.band.1));
    }
}

#[test]
fn lines_pass_beside_boxes() {
    for seed in 0..40 {
        let (boxes, lines) = scene(seed, 30);
        let layout = layout(&boxes, &lines);
        for wire in &layout.wires {
            let crosses = |(size, top): (&(f64, f64), &(f64, f64))| {
                let is_beside = |x: f64| (x - top.0).abs() >= size.0 / 2.0;
                // Upright at its start until the band begins, and at its end from where the band ends.
                let hits = |x: f64, upper: f64, lower: f64| {
                    !is_beside(x) && upper < top.1 + size.1 - 0.01 && lower > top.1 + 0.01
                };
                hits(wire.from.0, wire.from.1, wire.band.0) || hits(wire.to.0, wire.band.1, wire.to.1)
            };
            assert!(!boxes.iter().zip(&layout.tops).any(crosses), "seed {seed}: {wire:?}");
        }
    }
}

#[test]
fn a_thousand_long_lines_share_their_way() {
    let count = 1000;
    let mut lines: Vec<Line<bool>> =
        (0..count / 2).map(|from| Line { from, to: from + 1, style: false }).collect();
    lines.extend((count / 2 + 1..count).map(|from| Line { from, to: count / 2, style: false }));
    let layout = layout(&vec![(100.0, 40.0); count], &lines);
    assert!(layout.wires.len() < 3 * count, "{}", layout.wires.len());
}

#[test]
fn what_is_undone_says_when() {
    let line = |undo: &str| {
        let text = format!(
            "workflow: w\nvars: {{ hours: 24h }}\nsteps:\n  - {{ id: a, uses: hold, approval: {{ ask: x, expires: 1h }}, undo: {undo} }}\n"
        );
        let drawn = draw(&workflow(&text), Format::Mermaid);
        let shape = drawn.lines().find(|line| line.contains("step_a[")).unwrap_or_default().to_owned();
        shape.split("<br/>").nth(2).unwrap_or_default().trim_end_matches("\"/]").to_owned()
    };
    let undos = [
        "{ after: 30m }",
        "{ after: '{{ vars.hours }}', on: [failed, cancelled] }",
        "{ after: '{{ alert.days }}d' }",
        "{ after: 1h, approval: { ask: x, from: { role: lead } } }",
        "{ on: [failed] }",
        "false",
    ];
    assert_snapshot!(undos.map(line).join("\n"), @"
    undone after 30m
    undone after 24h or when the run has failed or when it was cancelled
    undone after #123;#123; alert.days #125;#125;d
    undone after 1h, asks lead
    undone when the run has failed
    undone by a person
    ");
}
