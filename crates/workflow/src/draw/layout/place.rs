//! Places within a rank: as near to the neighbours above and below as widths and order allow.

use super::{BEND_GAP, GAP, Ranked, at};

const SWEEPS: usize = 20;

/// The middle of each item, from the left edge of the picture.
pub(super) fn place(ranked: &Ranked) -> Vec<f64> {
    let mut centres = vec![0.0; ranked.items.len()];
    for rank in &ranked.ranks {
        let wishes = vec![(0.0, 1.0); rank.len()];
        settle(ranked, rank, &wishes, &mut centres);
    }
    for sweep in 0..SWEEPS {
        let is_down = sweep % 2 == 0;
        for step in 0..ranked.ranks.len() {
            let index = if is_down { step } else { ranked.ranks.len() - 1 - step };
            let Some(rank) = ranked.ranks.get(index) else { continue };
            let wish = |item: &usize| {
                let side = if is_down { &ranked.above } else { &ranked.below };
                wish(ranked, *item, side.get(*item).map(Vec::as_slice).unwrap_or_default(), &centres)
            };
            let wishes: Vec<(f64, f64)> = rank.iter().map(wish).collect();
            settle(ranked, rank, &wishes, &mut centres);
        }
    }
    straighten(ranked, &mut centres);
    let left = |(item, x): (&super::Item, &f64)| x - item.width / 2.0;
    let edge = ranked.items.iter().zip(&centres).map(left).fold(f64::INFINITY, f64::min);
    centres.iter().map(|x| x - edge).collect()
}

/// Where an item would like to stand, and how much. Bends insist on being straight above each other, and so do two that
/// have only each other on that side.
fn wish(ranked: &Ranked, item: usize, neighbours: &[usize], centres: &[f64]) -> (f64, f64) {
    let is_bend = |item: usize| ranked.items.get(item).is_some_and(|item| item.is_bend);
    let (mut sum, mut weights) = (0.0, 0.0);
    for neighbour in neighbours {
        let weight = match (is_bend(item), is_bend(*neighbour)) {
            (true, true) => 8.0,
            (true, false) | (false, true) => 2.0,
            (false, false) if are_pair(ranked, item, *neighbour) => 6.0,
            (false, false) => 1.0,
        };
        sum += weight * at(centres, *neighbour);
        weights += weight;
    }
    if weights == 0.0 { (at(centres, item), 0.1) } else { (sum / weights, weights) }
}

/// Whether two items have only each other on the side where they meet.
fn are_pair(ranked: &Ranked, a: usize, b: usize) -> bool {
    let is_only = |sides: &[Vec<usize>], item: usize, other: usize| {
        sides.get(item).is_some_and(|side| side.as_slice() == [other])
    };
    let meet = |upper, lower| is_only(&ranked.below, upper, lower) && is_only(&ranked.above, lower, upper);
    meet(a, b) || meet(b, a)
}

/// Moves one of each pair right above the other, where its rank has the room.
fn straighten(ranked: &Ranked, centres: &mut [f64]) {
    let places: Vec<(usize, usize)> = (ranked.ranks.iter().enumerate())
        .flat_map(|(rank, items)| (0..items.len()).map(move |index| (rank, index)))
        .collect();
    for (rank, index) in places.iter().chain(places.iter().rev()) {
        let Some(items) = ranked.ranks.get(*rank) else { continue };
        let Some(item) = items.get(*index).copied() else { continue };
        let sides = [&ranked.above, &ranked.below];
        let other = sides.into_iter().filter_map(|side| side.get(item)?.first().copied());
        let Some(other) = other.into_iter().find(|other| are_pair(ranked, item, *other)) else { continue };
        let wish = at(centres, other);
        let before = index.checked_sub(1).and_then(|before| items.get(before));
        let is_free = |next: Option<&usize>| {
            next.is_none_or(|next| (at(centres, *next) - wish).abs() >= distance(ranked, *next, item) - 0.01)
        };
        let is_between = before.is_none_or(|before| at(centres, *before) < wish)
            && items.get(index + 1).is_none_or(|next| at(centres, *next) > wish);
        if is_between
            && is_free(before)
            && is_free(items.get(index + 1))
            && let Some(centre) = centres.get_mut(item)
        {
            *centre = wish;
        }
    }
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
    for (index, item) in rank.iter().enumerate() {
        let last = index.checked_sub(1).and_then(|last| rank.get(last));
        offset += last.map_or(0.0, |last| distance(ranked, *last, *item));
        offsets.push(offset);
    }
    offsets
}

/// How far the middles of two neighbours are apart at least.
fn distance(ranked: &Ranked, a: usize, b: usize) -> f64 {
    let (Some(a), Some(b)) = (ranked.items.get(a), ranked.items.get(b)) else { return 0.0 };
    let gap = if a.is_bend && b.is_bend { BEND_GAP } else { GAP };
    (a.width + b.width) / 2.0 + gap
}
