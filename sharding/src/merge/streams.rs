//! The rows that have arrived and were not taken yet: one queue per shard under an ordered merge, one queue of all
//! when no order is asked for. Out: grouping, limits of the result.
//! Invariant: an ordered merge gives a row only when every unfinished stream has one, so that none can come before it.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::cell::Cell;
use super::error::MergeError;
use super::order::{Order, compare_rows};

/// A row as it was offered.
#[derive(Debug)]
pub(super) struct Row<P> {
    pub cells: Vec<Cell>,
    pub payload: P,
    /// The payload and the cells, as counted against the limits.
    pub bytes: usize,
    pub stream: usize,
}

#[derive(Debug)]
struct Input<P> {
    queue: VecDeque<Row<P>>,
    finished: bool,
}

/// The shard streams of one merge.
#[derive(Debug)]
pub(super) struct Streams<P> {
    order: Vec<Order>,
    /// One queue per stream; without an order all rows wait in `any`.
    inputs: Vec<Input<P>>,
    any: VecDeque<Row<P>>,
    unfinished: usize,
    /// Streams that are unfinished and have no row waiting.
    empty: Vec<usize>,
    /// Binary heap of the streams that have a row waiting, the one with the smallest first row at the top.
    heap: Vec<usize>,
}

impl<P> Streams<P> {
    pub(super) fn new(order: Vec<Order>, streams: usize) -> Self {
        let inputs = (0..streams).map(|_| Input { queue: VecDeque::new(), finished: false }).collect();
        // The last of `empty` is wanted first: begin with stream 0.
        let empty = (0..streams).rev().collect();
        Self { order, inputs, any: VecDeque::new(), unfinished: streams, empty, heap: Vec::with_capacity(streams) }
    }

    pub(super) fn ordered(&self) -> bool {
        !self.order.is_empty()
    }

    pub(super) fn wants(&self) -> Option<usize> {
        if self.ordered() || self.any.is_empty() { self.empty.last().copied() } else { None }
    }

    /// Every stream has ended and every row was taken.
    pub(super) fn exhausted(&self) -> bool {
        self.unfinished == 0 && self.heap.is_empty() && self.any.is_empty()
    }

    pub(super) fn offer(&mut self, row: Row<P>) -> Result<(), MergeError> {
        let stream = row.stream;
        let ordered = self.ordered();
        let input = self.inputs.get_mut(stream).ok_or(MergeError::Misused { reason: "no such stream" })?;
        if input.finished {
            return Err(MergeError::Misused { reason: "a row of a finished stream" });
        }
        if !ordered {
            self.any.push_back(row);
            return Ok(());
        }
        let first = input.queue.is_empty();
        input.queue.push_back(row);
        if first {
            self.forget_empty(stream);
            self.heap.push(stream);
            self.sift_up(self.heap.len() - 1);
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, stream: usize) -> Result<(), MergeError> {
        let input = self.inputs.get_mut(stream).ok_or(MergeError::Misused { reason: "no such stream" })?;
        if !input.finished {
            input.finished = true;
            self.unfinished -= 1;
            self.forget_empty(stream);
        }
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Option<Row<P>> {
        if !self.ordered() {
            return self.any.pop_front();
        }
        if !self.empty.is_empty() {
            return None;
        }
        let top = *self.heap.first()?;
        let input = self.inputs.get_mut(top)?;
        let row = input.queue.pop_front();
        if input.queue.is_empty() {
            if !input.finished {
                self.empty.push(top);
            }
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        row
    }

    fn forget_empty(&mut self, stream: usize) {
        if let Some(at) = self.empty.iter().rposition(|&s| s == stream) {
            self.empty.remove(at);
        }
    }

    /// Order of the first rows of the streams at two places of the heap; equal rows go by stream, which makes it stable.
    fn compare(&self, a: usize, b: usize) -> Ordering {
        let head = |place: usize| {
            let stream = *self.heap.get(place)?;
            Some((self.inputs.get(stream)?.queue.front()?, stream))
        };
        match (head(a), head(b)) {
            (Some((a, i)), Some((b, j))) => compare_rows(&self.order, &a.cells, &b.cells).then(i.cmp(&j)),
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    }

    fn sift_up(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.compare(place, parent) != Ordering::Less {
                return;
            }
            self.heap.swap(place, parent);
            place = parent;
        }
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.compare(child, least) == Ordering::Less {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }
}
