//! What the index knows of a run.

use std::ops::ControlFlow;

use model::RunId;

use crate::changes::unreadable;
use crate::index::{Index, Range, Result};
use crate::keys;
use crate::place::{Part, Parts, Place};
use crate::row::Row;

impl Index {
    /// The row of a run.
    pub(crate) fn row(&self, run: RunId) -> Result<Option<Row>> {
        let Some(value) = self.get(&keys::row(run))? else { return Ok(None) };
        Row::decode(&value).map(Some).ok_or_else(|| unreadable("a row"))
    }

    /// The row of a run, and where all of its appends lie.
    pub(crate) fn row_with_parts(&self, run: RunId) -> Result<Option<(Row, Vec<Part>)>> {
        let Some(mut row) = self.row(run)? else { return Ok(None) };
        let mut parts = std::mem::take(&mut row.parts.0);
        if row.next_seq > Parts::IN_ROW {
            self.walk(&Range::of(keys::all_parts(run)), |_, value| {
                let beyond = Parts::decode(value).unwrap_or_default().0.into_iter();
                // Those that came since the row was read are left out: ones before them may be missing in what was read.
                parts.extend(beyond.filter(|part| part.first < row.next_seq));
                ControlFlow::Continue(())
            })?;
        }
        Ok(Some((row, parts)))
    }

    /// Where the append of a run lies whose first record has this number.
    pub(crate) fn part_at(&self, run: RunId, first: u32) -> Result<Option<Place>> {
        let parts = if first < Parts::IN_ROW {
            self.row(run)?.map(|row| row.parts)
        } else {
            let value = self.get(&keys::parts(run, first / Parts::SPAN))?;
            value.and_then(|value| Parts::decode(&value))
        };
        let part = parts.and_then(|parts| parts.0.into_iter().find(|part| part.first == first));
        Ok(part.map(|part| part.place))
    }
}
