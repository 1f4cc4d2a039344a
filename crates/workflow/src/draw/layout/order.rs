//! The order within each rank: beside the neighbours in the ranks above and below, so that few lines cross.

use super::{Ranked, at};

const SWEEPS: usize = 24;
/// With more items than this, fewer sweeps have to do.
const MANY: usize = 4000;

pub(super) fn order(ranked: &mut Ranked) {
    (0..ranked.items.len()).for_each(|parent| put_ends_outside(ranked, parent));
    let sweeps = if ranked.items.len() > MANY { 4 } else { SWEEPS };
    let mut best = ranked.ranks.clone();
    let mut fewest = crossings(ranked);
    let mut positions = vec![0.0; ranked.items.len()];
    ranked.ranks.iter().for_each(|rank| note_positions(rank, &mut positions));
    for sweep in 0..sweeps {
        if fewest == 0 {
            break;
        }
        let is_down = sweep % 2 == 0;
        for step in 1..ranked.ranks.len() {
            let rank = if is_down { step } else { ranked.ranks.len() - 1 - step };
            sort(ranked, rank, is_down, &mut positions);
        }
        let count = crossings(ranked);
        if count < fewest {
            fewest = count;
            best.clone_from(&ranked.ranks);
        }
    }
    ranked.ranks = best;
}

/// Of the items that follow one item alone, those from which nothing leads on go to the sides: the way on is in the middle.
fn put_ends_outside(ranked: &mut Ranked, parent: usize) {
    let Some(rank) = ranked.items.get(parent).and_then(|item| ranked.ranks.get_mut(item.rank + 1)) else {
        return;
    };
    let is_only_child =
        |item: usize| ranked.above.get(item).is_some_and(|above| above.as_slice() == [parent]);
    let slots: Vec<usize> = (0..rank.len()).filter(|slot| is_only_child(at(rank, *slot))).collect();
    let children = slots.iter().map(|slot| at(rank, *slot));
    let leads_on = |item: &usize| ranked.below.get(*item).is_some_and(|below| !below.is_empty());
    let (ways, mut ends): (Vec<usize>, Vec<usize>) = children.partition(leads_on);
    let right = ends.split_off(ends.len().div_ceil(2));
    for (slot, child) in slots.into_iter().zip(ends.into_iter().chain(ways).chain(right)) {
        if let Some(place) = rank.get_mut(slot) {
            *place = child;
        }
    }
}

/// Orders a rank by the middle of each item's neighbours; who has none stays where it is.
fn sort(ranked: &mut Ranked, rank: usize, is_down: bool, positions: &mut [f64]) {
    let neighbours = if is_down { &ranked.above } else { &ranked.below };
    let middle = |item: usize| {
        let neighbours = neighbours.get(item).map(Vec::as_slice).unwrap_or_default();
        let sum: f64 = neighbours.iter().map(|neighbour| at(positions, *neighbour)).sum();
        if neighbours.is_empty() { at(positions, item) } else { sum / neighbours.len() as f64 }
    };
    let Some(items) = ranked.ranks.get(rank) else { return };
    let mut keyed: Vec<(f64, usize)> = items.iter().map(|item| (middle(*item), *item)).collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let Some(items) = ranked.ranks.get_mut(rank) {
        *items = keyed.into_iter().map(|(_, item)| item).collect();
        note_positions(items, positions);
    }
}

/// Notes where in its rank each item stands, from 0 to 1.
fn note_positions(rank: &[usize], positions: &mut [f64]) {
    for (index, item) in rank.iter().enumerate() {
        if let Some(position) = positions.get_mut(*item) {
            *position = (index as f64 + 0.5) / rank.len() as f64;
        }
    }
}

/// How many pairs of lines cross between neighbouring ranks.
fn crossings(ranked: &Ranked) -> u64 {
    let mut places = vec![0_usize; ranked.items.len()];
    for rank in &ranked.ranks {
        for (index, item) in rank.iter().enumerate() {
            if let Some(place) = places.get_mut(*item) {
                *place = index;
            }
        }
    }
    let mut count = 0;
    for (upper, lower) in ranked.ranks.iter().zip(ranked.ranks.iter().skip(1)) {
        // Counts, for each line from left to right, the lines before it that end further to the right.
        let mut ends = Ends { counts: vec![0; lower.len() + 1], all: 0 };
        for item in upper {
            let mut lines: Vec<usize> = ranked.below.get(*item).into_iter().flatten().copied().collect();
            lines = lines.iter().filter_map(|item| places.get(*item)).copied().collect();
            count += lines.iter().map(|end| ends.behind(*end)).sum::<u64>();
            lines.iter().for_each(|end| ends.add(*end));
        }
    }
    count
}

/// How many lines end where: a Fenwick tree.
struct Ends {
    counts: Vec<u64>,
    all: u64,
}

impl Ends {
    fn add(&mut self, place: usize) {
        self.all += 1;
        let mut index = place + 1;
        while let Some(count) = self.counts.get_mut(index) {
            *count += 1;
            index += index & index.wrapping_neg();
        }
    }

    /// How many end behind this place.
    fn behind(&self, place: usize) -> u64 {
        let mut index = place + 1;
        let mut upto = 0;
        while index > 0 {
            upto += self.counts.get(index).copied().unwrap_or_default();
            index -= index & index.wrapping_neg();
        }
        self.all - upto
    }
}
