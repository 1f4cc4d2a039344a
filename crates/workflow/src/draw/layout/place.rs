//! Places within a rank: as near to the neighbours above and below as widths and order allow.

use super::{BEND_GAP, GAP, Ranked, at};

const SWEEPS: usize = 10;

/// The middle of each item, from the left edge of the picture.
pub(super) fn place(ranked: &Ranked) -> Vec<f64> {
    let mut centres = vec![0.0; ranked.items.len()];
    for rank in &ranked.ranks {
        let wishes = vec![(0.0, 1.0); rank.len()];
        settle(ranked, rank, &wishes, &mut centres);
    }
    for sweep in 0..SWEEPS * 2 {
        let is_down = sweep % 2 == 0;
        for step in 1..ranked.ranks.len() {
            let index = if is_down { step } else { ranked.ranks.len() - 1 - step };
            let Some(rank) = ranked.ranks.get(index) else { continue };
            let neighbours = if is_down { &ranked.above } else { &ranked.below };
            let wishes: Vec<(f64, f64)> =
                rank.iter().map(|item| wish(ranked, neighbours, *item, &centres)).collect();
            settle(ranked, rank, &wishes, &mut centres);
        }
    }
    let left = |(item, x): (&super::Item, &f64)| x - item.width / 2.0;
    let edge = ranked.items.iter().zip(&centres).map(left).fold(f64::INFINITY, f64::min);
    centres.iter().map(|x| x - edge).collect()
}

/// Where an item would like to stand, and how much. Bends insist on being straight above each other.
fn wish(ranked: &Ranked, neighbours: &[Vec<usize>], item: usize, centres: &[f64]) -> (f64, f64) {
    let is_bend = |item: usize| ranked.items.get(item).is_some_and(|item| item.is_bend);
    let neighbours = neighbours.get(item).map(Vec::as_slice).unwrap_or_default();
    let (mut sum, mut weights) = (0.0, 0.0);
    for neighbour in neighbours {
        let weight = match (is_bend(item), is_bend(*neighbour)) {
            (true, true) => 8.0,
            (true, false) | (false, true) => 2.0,
            (false, false) => 1.0,
        };
        sum += weight * at(centres, *neighbour);
        weights += weight;
    }
    if weights == 0.0 { (at(centres, item), 0.1) } else { (sum / weights, weights) }
}

/// Gives the items of a rank the places that are nearest to their wishes, by least squares, and keep their order and
/// distances: neighbours that want to pass each other stand side by side at the mean of their wishes.
fn settle(ranked: &Ranked, rank: &[usize], wishes: &[(f64, f64)], centres: &mut [f64]) {
    struct Block {
        place: f64,
        weight: f64,
        items: usize,
    }
    let offsets = offsets(ranked, rank);
    let mut blocks: Vec<Block> = Vec::with_capacity(rank.len());
    for ((wish, weight), offset) in wishes.iter().zip(&offsets) {
        let mut block = Block { place: wish - offset, weight: *weight, items: 1 };
        while let Some(last) = blocks.pop_if(|last| last.place >= block.place) {
            let weight = last.weight + block.weight;
            block.place = (last.place * last.weight + block.place * block.weight) / weight;
            block.weight = weight;
            block.items += last.items;
        }
        blocks.push(block);
    }
    let places = blocks.iter().flat_map(|block| std::iter::repeat_n(block.place, block.items));
    for ((item, place), offset) in rank.iter().zip(places).zip(&offsets) {
        if let Some(centre) = centres.get_mut(*item) {
            *centre = place + offset;
        }
    }
}

/// How far each item of a rank is from the first where they stand as close as they may.
fn offsets(ranked: &Ranked, rank: &[usize]) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(rank.len());
    let mut offset = 0.0;
    let mut last: Option<&super::Item> = None;
    for item in rank.iter().filter_map(|item| ranked.items.get(*item)) {
        if let Some(last) = last {
            let gap = if last.is_bend && item.is_bend { BEND_GAP } else { GAP };
            offset += (last.width + item.width) / 2.0 + gap;
        }
        offsets.push(offset);
        last = Some(item);
    }
    offsets
}
