//! One message of `pgoutput`, taken apart.

use super::ReadText;
use super::cursor::Cursor;
use crate::lsn::Lsn;

pub(super) enum Message {
    Begin { committed_at: i64, xid: u32 },
    Commit { end_lsn: Lsn, committed_at: i64 },
    Relation(Relation),
    Type,
    Origin,
    Insert { relation: u32, new: Vec<TupleColumn> },
    Update { relation: u32, old: Option<Old>, new: Vec<TupleColumn> },
    Delete { relation: u32, old: Old },
    Truncate { relations: Vec<u32>, cascade: bool, restart_identity: bool },
    Emitted { transactional: bool, lsn: Lsn, prefix: String, content: Vec<u8> },
}

pub(super) struct Relation {
    pub(super) id: u32,
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) columns: Vec<RelationColumn>,
}

pub(super) struct RelationColumn {
    pub(super) is_key: bool,
    pub(super) name: String,
    /// The number of the type.
    pub(super) kind: u32,
}

pub(super) enum TupleColumn {
    Null,
    Unchanged,
    Text(String),
}

/// Holds an old row, or its key only.
pub(super) struct Old {
    pub(super) is_key: bool,
    pub(super) tuple: Vec<TupleColumn>,
}

impl Message {
    pub(super) fn parse(data: &[u8], text: ReadText) -> Result<Self, String> {
        let mut cursor = Cursor { rest: data, read: text };
        let message = match cursor.u8()? {
            b'B' => {
                let _commit_lsn = cursor.u64()?;
                Self::Begin { committed_at: cursor.i64()?, xid: cursor.u32()? }
            }
            b'C' => {
                cursor.expect(0)?;
                let _commit_lsn = cursor.u64()?;
                Self::Commit { end_lsn: Lsn(cursor.u64()?), committed_at: cursor.i64()? }
            }
            b'R' => Self::Relation(Relation::parse(&mut cursor)?),
            b'Y' => {
                let (_id, _schema, _name) = (cursor.u32()?, cursor.name()?, cursor.name()?);
                Self::Type
            }
            b'O' => {
                let (_lsn, _name) = (cursor.u64()?, cursor.string()?);
                Self::Origin
            }
            b'I' => {
                let relation = cursor.u32()?;
                cursor.expect(b'N')?;
                Self::Insert { relation, new: tuple(&mut cursor)? }
            }
            b'U' => {
                let relation = cursor.u32()?;
                let old = match cursor.rest.first() {
                    Some(b'N') => None,
                    _ => Some(Old::parse(&mut cursor)?),
                };
                cursor.expect(b'N')?;
                Self::Update { relation, old, new: tuple(&mut cursor)? }
            }
            b'D' => Self::Delete { relation: cursor.u32()?, old: Old::parse(&mut cursor)? },
            b'T' => {
                let count = cursor.u32()?;
                let flags = cursor.u8()?;
                if flags > 3 {
                    return Err(format!("TRUNCATE: expected the flags 1 and 2, found {flags}"));
                }
                let relations = (0..count).map(|_| cursor.u32()).collect::<Result<_, _>>()?;
                Self::Truncate { relations, cascade: flags & 1 != 0, restart_identity: flags & 2 != 0 }
            }
            b'M' => {
                let transactional = match cursor.u8()? {
                    0 => false,
                    1 => true,
                    flags => return Err(format!("message: expected the flags 0 or 1, found {flags}")),
                };
                let (lsn, prefix) = (Lsn(cursor.u64()?), cursor.string()?);
                Self::Emitted { transactional, lsn, prefix, content: cursor.counted()?.to_vec() }
            }
            kind => return Err(format!("expected a kind of message, found {:?}", char::from(kind))),
        };
        match cursor.rest.len() {
            0 => Ok(message),
            left => Err(format!("expected the end of the message, found {left} more bytes")),
        }
    }
}

impl Relation {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let (id, schema, table) = (cursor.u32()?, cursor.name()?, cursor.name()?);
        match cursor.u8()? {
            b'd' | b'n' | b'f' | b'i' => {}
            identity => return Err(format!("expected a replica identity, found {:?}", char::from(identity))),
        }
        let count = cursor.u16()?;
        let columns = (0..count).map(|_| RelationColumn::parse(cursor)).collect::<Result<_, _>>()?;
        Ok(Self { id, schema, table, columns })
    }
}

impl RelationColumn {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let is_key = match cursor.u8()? {
            0 => false,
            1 => true,
            flags => return Err(format!("column: expected the flags 0 or 1, found {flags}")),
        };
        let name = cursor.name()?;
        let (kind, _modifier) = (cursor.u32()?, cursor.u32()?);
        Ok(Self { is_key, name, kind })
    }
}

impl Old {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let is_key = match cursor.u8()? {
            b'K' => true,
            b'O' => false,
            kind => return Err(format!("expected a kind of old row, found {:?}", char::from(kind))),
        };
        Ok(Self { is_key, tuple: tuple(cursor)? })
    }
}

fn tuple(cursor: &mut Cursor<'_>) -> Result<Vec<TupleColumn>, String> {
    let count = cursor.u16()?;
    let column = |_| match cursor.u8()? {
        b'n' => Ok(TupleColumn::Null),
        b'u' => Ok(TupleColumn::Unchanged),
        b't' => Ok(TupleColumn::Text((cursor.read.text)(cursor.counted()?))),
        kind => Err(format!("expected a kind of value, found {:?}", char::from(kind))),
    };
    (0..count).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `INSERT INTO t (a, b) VALUES ('1', NULL)`, where t is relation 16384.
    const INSERT: &[u8] = b"I\0\0\x40\0N\0\x02t\0\0\0\x011n";

    fn parse(data: &[u8]) -> Result<Message, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Message::parse(data, ReadText { name: text, text })
    }

    #[test]
    fn messages_are_read_to_their_end() {
        let Ok(Message::Insert { relation: 16384, new }) = parse(INSERT) else { panic!("an INSERT") };
        assert!(matches!(&new[..], [TupleColumn::Text(text), TupleColumn::Null] if text == "1"));
        for length in 0..INSERT.len() {
            assert!(parse(&INSERT[..length]).is_err(), "cut after {length} bytes");
        }
        assert!(parse(&[INSERT, b"n"].concat()).is_err(), "a trailing byte");
    }
}
