//! Which step needs which: order, cycles, and what lies before what.

use std::collections::BTreeSet;

use petgraph::Direction;
use petgraph::algo::tred::{dag_to_toposorted_adjacency_list, dag_transitive_reduction_closure};
use petgraph::algo::{is_cyclic_directed, tarjan_scc};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeRef as _, IntoEdgeReferences as _};

/// The graph of a workflow: an edge leads from a step to the steps that need it.
#[derive(Debug, Clone)]
pub struct Graph {
    graph: DiGraph<(), ()>,
    order: Vec<usize>,
    ancestors: Vec<BTreeSet<usize>>,
}

impl Graph {
    /// Makes the graph from the needs of each step; fails with the steps of each cycle.
    pub fn new(needs: &[Vec<usize>]) -> Result<Graph, Vec<Vec<usize>>> {
        let mut graph = DiGraph::with_capacity(needs.len(), needs.len());
        let nodes: Vec<NodeIndex> = needs.iter().map(|_| graph.add_node(())).collect();
        for (node, needed) in nodes.iter().zip(needs) {
            for need in needed.iter().filter_map(|need| nodes.get(*need)) {
                graph.update_edge(*need, *node, ());
            }
        }
        if is_cyclic_directed(&graph) {
            return Err(cycles(&graph));
        }
        let order = order(&graph);
        let mut ancestors = vec![BTreeSet::new(); needs.len()];
        for step in &order {
            let mut above = BTreeSet::new();
            for need in graph.neighbors_directed(NodeIndex::new(*step), Direction::Incoming) {
                above.insert(need.index());
                above.extend(ancestors.get(need.index()).into_iter().flatten().copied());
            }
            if let Some(place) = ancestors.get_mut(*step) {
                *place = above;
            }
        }
        Ok(Graph { graph, order, ancestors })
    }

    /// The steps, every one behind what it needs, and otherwise in the order of the file.
    pub fn order(&self) -> &[usize] {
        &self.order
    }

    /// Whether one step lies before another on some path.
    pub fn is_before(&self, first: usize, second: usize) -> bool {
        self.ancestors.get(second).is_some_and(|ancestors| ancestors.contains(&first))
    }

    /// The edges, from a step to one that needs it, without those beside which a longer way leads.
    pub fn reduced(&self) -> Vec<(usize, usize)> {
        let order: Vec<NodeIndex> = self.order.iter().copied().map(NodeIndex::new).collect();
        let (list, _) = dag_to_toposorted_adjacency_list::<_, u32>(&self.graph, &order);
        let (reduced, _) = dag_transitive_reduction_closure(&list);
        let step = |place: u32| self.order.get(place as usize).copied();
        let edges = reduced.edge_references();
        let mut edges: Vec<(usize, usize)> =
            edges.filter_map(|edge| Some((step(edge.source())?, step(edge.target())?))).collect();
        edges.sort_unstable();
        edges
    }

    /// The steps that need this one themselves.
    pub fn needed_by(&self, step: usize) -> impl Iterator<Item = usize> {
        self.graph.neighbors_directed(NodeIndex::new(step), Direction::Outgoing).map(NodeIndex::index)
    }
}

/// Every step behind what it needs, and otherwise in the order of the file.
fn order(graph: &DiGraph<(), ()>) -> Vec<usize> {
    let mut missing: Vec<usize> = graph
        .node_indices()
        .map(|node| graph.neighbors_directed(node, Direction::Incoming).count())
        .collect();
    let mut ready: BTreeSet<NodeIndex> =
        graph.node_indices().filter(|node| missing.get(node.index()) == Some(&0)).collect();
    let mut order = Vec::with_capacity(missing.len());
    while let Some(node) = ready.pop_first() {
        order.push(node.index());
        for next in graph.neighbors_directed(node, Direction::Outgoing) {
            let Some(count) = missing.get_mut(next.index()) else { continue };
            *count -= 1;
            if *count == 0 {
                ready.insert(next);
            }
        }
    }
    order
}

fn cycles(graph: &DiGraph<(), ()>) -> Vec<Vec<usize>> {
    let is_cycle = |component: &Vec<NodeIndex>| {
        component.len() > 1 || component.iter().any(|node| graph.contains_edge(*node, *node))
    };
    let components = tarjan_scc(graph).into_iter().filter(is_cycle);
    components
        .map(|component| {
            let mut steps: Vec<usize> = component.into_iter().map(NodeIndex::index).collect();
            steps.sort_unstable();
            steps
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_ancestors_follow_the_needs() {
        let graph = Graph::new(&[vec![], vec![0], vec![], vec![1, 2]]).unwrap();
        assert!(graph.is_before(0, 3) && graph.is_before(2, 3) && !graph.is_before(2, 1));
        assert_eq!(graph.needed_by(0).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_edge_beside_a_longer_way_is_left_out() {
        let graph = Graph::new(&[vec![], vec![0], vec![0, 1], vec![2, 0], vec![]]).unwrap();
        assert_eq!(graph.reduced(), [(0, 1), (1, 2), (2, 3)]);
    }

    #[test]
    fn a_cycle_names_its_steps() {
        assert_eq!(Graph::new(&[vec![], vec![0, 2], vec![1], vec![3]]).unwrap_err(), [vec![1, 2], vec![3]]);
    }
}
