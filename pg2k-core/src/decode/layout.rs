//! What is remembered of the relations that rows were seen of: payloads of one begin alike, and have the same columns.
//!
//! A layout is a guess, never a truth: what it says is compared with the payload's bytes before it is believed.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::error::DecodeError;
use super::event::Relation;
use super::source::{Part, Source};
use super::tuple::{self, ColumnParts};
use super::value::{Form, ValueParts, value};

/// Relations that are remembered at most. Those of a database with more are learned again and again.
pub(super) const MAX_RELATIONS: usize = 4_096;

/// Bytes that all layouts together may take, roughly, before they are forgotten.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// A column of a relation.
#[derive(Debug)]
pub(super) struct LayoutColumn {
    /// Without quotes.
    pub(super) name: Box<str>,
    /// As printed.
    pub(super) type_name: Box<str>,
    form: Form,
    /// How long ` name[type]:` is, as printed.
    length: usize,
    /// The fingerprint of all columns up to this one.
    fingerprint: u64,
}

impl LayoutColumn {
    fn size(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.type_name.len() + self.length
    }

    /// The name and type where the column's ` name[type]:` ends at this place in the payload.
    fn parts(&self, end: usize, unquoted: &mut String) -> (Part, Part) {
        let begin = end - self.length;
        let end_type = end - 2;
        let begin_type = end_type - self.type_name.len();
        let type_name = Part::printed(begin_type, end_type);
        // Besides the name and the type there are a space, two brackets and a colon, and what quotes the name.
        let name = match self.length - self.name.len() - self.type_name.len() {
            4 => Part::printed(begin + 1, begin_type - 1),
            6 => Part::printed(begin + 2, begin_type - 2),
            _ => {
                let begin = unquoted.len();
                unquoted.push_str(&self.name);
                Part::unquoted(begin, unquoted.len())
            }
        };
        (name, type_name)
    }
}

/// A relation, and the columns that it had in the last row seen of it.
#[derive(Debug)]
pub(super) struct Layout {
    /// `table public.t: `
    head: Box<str>,
    qualified: Box<str>,
    schema: Box<str>,
    table: Box<str>,
    columns: Vec<LayoutColumn>,
    /// ` name[type]:` of all columns, one after another.
    printed: Vec<u8>,
    /// The relation whose row came after this one's last time.
    next: usize,
}

impl Layout {
    #[inline]
    pub(super) fn relation(&self) -> Relation<'_> {
        Relation { qualified: &self.qualified, schema: &self.schema, table: &self.table }
    }

    pub(super) fn columns(&self) -> &Vec<LayoutColumn> {
        &self.columns
    }

    /// A number for the names and types of all columns.
    pub(super) fn fingerprint(&self) -> u64 {
        self.columns.last().map_or(NO_COLUMNS, |column| column.fingerprint)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + 3 * self.head.len() + self.schema.len() + self.table.len()
    }

    /// Reads a row up to the end of the payload, as long as its columns are those known.
    ///
    /// Returns whether it was read to its end; if not, the columns read are as many as the values.
    #[inline(always)]
    fn read(
        &self,
        cursor: &mut Cursor<'_>,
        values: &mut Vec<ValueParts>,
        unquoted: &mut String,
    ) -> Result<bool, DecodeError> {
        let mut printed = self.printed.as_slice();
        // A copy, so that it can stay in registers.
        let mut here = *cursor;
        for column in &self.columns {
            let Some((expected, behind)) = printed.split_at_checked(column.length) else { break };
            if !here.eat_bytes(expected) {
                break;
            }
            printed = behind;
            values.push(value(&mut here, column.form, unquoted)?);
        }
        *cursor = here;
        Ok(here.rest().is_empty() && values.len() == self.columns.len())
    }

    /// Forgets the columns behind the first `count`, and reads instead what the payload has there.
    #[cold]
    fn learn(
        &mut self,
        count: usize,
        cursor: &mut Cursor<'_>,
        values: &mut Vec<ValueParts>,
        unquoted: &mut String,
    ) -> Result<(), DecodeError> {
        let forgotten = self.columns.drain(count..).map(|column| column.length).sum::<usize>();
        self.printed.truncate(self.printed.len() - forgotten);
        loop {
            let begin = cursor.offset();
            if !cursor.eat(" ") {
                return cursor.expect_end();
            }
            let (name, type_name, form) = tuple::heading(cursor, unquoted)?;
            let printed = cursor.text().get(begin..cursor.offset()).unwrap_or_default();
            let value = value(cursor, form, unquoted)?;
            let source = Source { payload: cursor.text(), unquoted };
            let (name, type_name) = (source.text(name), source.text(type_name));
            self.columns.push(LayoutColumn {
                name: name.into(),
                type_name: type_name.into(),
                form,
                length: printed.len(),
                fingerprint: fingerprint(self.fingerprint(), name, type_name),
            });
            self.printed.extend_from_slice(printed.as_bytes());
            values.push(value);
        }
    }
}

/// Finds the columns of a row that leaves some out.
pub(super) struct Search<'a> {
    columns: &'a [LayoutColumn],
    printed: &'a [u8],
    /// How many columns may still be passed over. Where many are, reading the few that are there without a guess is cheaper.
    budget: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        Self { columns: &layout.columns, printed: &layout.printed, budget: 32 }
    }

    /// Reads the next column if it is one of those known that are left.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor<'_>,
        unquoted: &mut String,
    ) -> Result<Option<ColumnParts>, DecodeError> {
        // Behind the last column there is nothing, or the hyphen of new-tuple, which no column that is known begins with.
        if cursor.rest().len() < 2 || cursor.rest().starts_with(b" new-") {
            return Ok(None);
        }
        while let Some((column, columns)) = self.columns.split_first() {
            let Some((expected, printed)) = self.printed.split_at_checked(column.length) else { break };
            let is_it = cursor.eat_bytes(expected);
            if !is_it {
                let Some(budget) = self.budget.checked_sub(1) else { break };
                self.budget = budget;
            }
            self.columns = columns;
            self.printed = printed;
            if is_it {
                self.budget += 2;
                let (name, type_name) = column.parts(cursor.offset(), unquoted);
                return Ok(Some(ColumnParts { name, type_name, value: value(cursor, column.form, unquoted)? }));
            }
        }
        Ok(None)
    }
}

/// The layouts of relations.
#[derive(Debug, Default)]
pub(super) struct Layouts {
    layouts: Vec<Layout>,
    /// Where in `layouts` a relation is, by its qualified name.
    by_name: HashMap<Box<str>, usize>,
    /// The relation found last.
    last: usize,
    /// What all layouts take.
    size: usize,
}

impl Layouts {
    /// The relation that the payload begins with, if it is the one to be expected. The cursor goes behind its colon.
    #[inline]
    pub(super) fn predict(&mut self, cursor: &mut Cursor<'_>) -> Option<usize> {
        let last = self.layouts.get(self.last)?;
        let place = if self.layouts.get(last.next).is_some_and(|next| cursor.eat(&next.head)) {
            last.next
        } else if cursor.eat(&last.head) {
            self.last
        } else {
            return None;
        };
        self.found(place);
        Some(place)
    }

    #[inline]
    fn found(&mut self, place: usize) {
        if let Some(last) = self.layouts.get_mut(self.last) {
            last.next = place;
        }
        self.last = place;
    }

    /// The relation of this name, perhaps a new one.
    #[cold]
    pub(super) fn place(&mut self, relation: Relation<'_>) -> usize {
        let place = match self.by_name.get(relation.qualified) {
            Some(place) => *place,
            None => self.add(relation),
        };
        self.found(place);
        place
    }

    fn add(&mut self, relation: Relation<'_>) -> usize {
        if self.layouts.len() >= MAX_RELATIONS {
            self.forget();
        }
        let place = self.layouts.len();
        let layout = Layout {
            head: format!("table {}: ", relation.qualified).into(),
            qualified: relation.qualified.into(),
            schema: relation.schema.into(),
            table: relation.table.into(),
            columns: Vec::new(),
            printed: Vec::new(),
            next: place,
        };
        self.size += layout.size();
        self.layouts.push(layout);
        self.by_name.insert(relation.qualified.into(), place);
        place
    }

    /// Forgets all layouts if they take more than they may.
    #[inline]
    pub(super) fn bound(&mut self) {
        if self.size > MAX_BYTES {
            self.forget();
        }
    }

    fn forget(&mut self) {
        *self = Self::default();
    }

    /// How many relations are remembered, and about how many bytes.
    #[cfg(test)]
    pub(super) fn usage(&self) -> (usize, usize) {
        assert_eq!(self.layouts.len(), self.by_name.len());
        let of = |layout: &Layout| layout.size() + layout.columns.iter().map(LayoutColumn::size).sum::<usize>();
        assert_eq!(self.layouts.iter().map(of).sum::<usize>(), self.size);
        (self.layouts.len(), self.size)
    }

    pub(super) fn get(&self, place: usize) -> Option<&Layout> {
        self.layouts.get(place)
    }

    /// Reads a row of this relation up to the end of the payload. Where its columns are not those known, they are now.
    #[inline]
    pub(super) fn read(
        &mut self,
        place: usize,
        cursor: &mut Cursor<'_>,
        values: &mut Vec<ValueParts>,
        unquoted: &mut String,
    ) -> Result<(), DecodeError> {
        let Some(layout) = self.layouts.get_mut(place) else { return Err(cursor.unexpected("a known relation")) };
        if layout.read(cursor, values, unquoted)? {
            return Ok(());
        }
        let of = |layout: &Layout| layout.columns.iter().skip(values.len()).map(LayoutColumn::size).sum::<usize>();
        let forgotten = of(layout);
        let known = values.len();
        let result = layout.learn(known, cursor, values, unquoted);
        let learned = layout.columns.iter().skip(known).map(LayoutColumn::size).sum::<usize>();
        self.size = self.size.saturating_sub(forgotten) + learned;
        result
    }
}

/// The fingerprint of a relation without columns.
pub(super) const NO_COLUMNS: u64 = 0x243f_6a88_85a3_08d3;

/// The fingerprint of columns of which the others have `fingerprint` and the last has this name and type.
///
/// Every step can be undone, so that lists which differ in one place never have the same.
pub(super) fn fingerprint(fingerprint: u64, name: &str, type_name: &str) -> u64 {
    let mix = |mixed: u64, word: u64| (mixed.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = |mixed: u64, text: &str| {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        let mixed = words.iter().fold(mixed, |mixed, word| mix(mixed, u64::from_le_bytes(*word)));
        // Behind its last byte, a text is marked by a byte that UTF-8 does not have.
        let last = rest.iter().rev().fold(0xff, |word, byte| word << 8 | u64::from(*byte));
        mix(mixed, last)
    };
    text(text(fingerprint, name), type_name)
}
