//! `rows --format parquet`: one table as a Parquet file, for DuckDB, Polars, Spark and their like.

use anyhow::Result;
use ntpscope_core::model::Row;
use ntpscope_core::render::rows::plain;
use ntpscope_core::table::{Cell, Owner, Table, cells};
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::fmt::Write as _;
use std::io::Write;
use std::sync::Arc;

/// Rows that are kept in memory and then written together.
const GROUP: usize = 1 << 16;

/// Columns of whole numbers.
const WHOLE: &[&str] = &[
    "line",
    "stratum",
    "leap",
    "source_port",
    "destination_port",
    "version",
    "mode",
    "poll",
    "precision",
    "length",
    "ttl",
    "lost",
    "dropped",
    "failed",
];

/// A Parquet file that is being written.
pub struct Parquet<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    rows: usize,
}

/// The values of one column, and for each row whether there is one (its definition level).
struct Column {
    values: Values,
    levels: Vec<i16>,
}

enum Values {
    Whole(Vec<i64>),
    Number(Vec<f64>),
    Flag(Vec<bool>),
    Text(Vec<ByteArray>),
}

/// The Parquet type of a column, and where its values are kept.
fn column(name: &str) -> (&'static str, &'static str, Values) {
    match name {
        "time" => ("int64", " (TIMESTAMP(NANOS,true))", Values::Whole(Vec::new())),
        "accepted" => ("boolean", "", Values::Flag(Vec::new())),
        name if WHOLE.contains(&name) => ("int64", "", Values::Whole(Vec::new())),
        name if name == "value" || name.ends_with("_s") || name.ends_with("_ppm") => {
            ("double", "", Values::Number(Vec::new()))
        }
        _ => ("binary", " (UTF8)", Values::Text(Vec::new())),
    }
}

impl<W: Write + Send> Parquet<W> {
    /// Begins a file of one table.
    pub fn new(table: Table, out: W) -> Result<Self> {
        let mut schema = format!("message {} {{", table.name());
        let mut columns = Vec::new();
        for name in table.columns() {
            let (physical, logical, values) = column(name);
            write!(schema, " optional {physical} {name}{logical};")?;
            columns.push(Column { values, levels: Vec::new() });
        }
        schema.push_str(" }");
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = SerializedFileWriter::new(out, Arc::new(parse_message_type(&schema)?), Arc::new(properties))?;
        Ok(Parquet { file, columns, rows: 0 })
    }

    /// Adds a row of the table.
    pub fn row(&mut self, row: &Row<'_>, owner: Owner<'_>) -> Result<()> {
        let mut columns = self.columns.iter_mut();
        cells(row, owner, &mut |cell| {
            if let Some(column) = columns.next() {
                column.push(cell);
            }
        });
        self.rows += 1;
        if self.rows == GROUP { self.group() } else { Ok(()) }
    }

    fn group(&mut self) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            match &mut column.values {
                Values::Whole(values) => write_column::<Int64Type, W>(&mut group, values, &column.levels)?,
                Values::Number(values) => write_column::<DoubleType, W>(&mut group, values, &column.levels)?,
                Values::Flag(values) => write_column::<BoolType, W>(&mut group, values, &column.levels)?,
                Values::Text(values) => write_column::<ByteArrayType, W>(&mut group, values, &column.levels)?,
            }
            column.levels.clear();
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    /// Writes what is left, and the footer without which the file can't be read.
    pub fn finish(mut self) -> Result<()> {
        if self.rows > 0 {
            self.group()?;
        }
        self.file.close()?;
        Ok(())
    }
}

fn write_column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &mut Vec<T::T>,
    levels: &[i16],
) -> Result<()> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<T>().write_batch(values, Some(levels), None)?;
        column.close()?;
    }
    values.clear();
    Ok(())
}

impl Column {
    fn push(&mut self, cell: Cell<'_>) {
        let there = match (&mut self.values, cell) {
            (_, Cell::Nothing) => false,
            (Values::Whole(values), Cell::Whole(value)) => {
                values.push(value);
                true
            }
            (Values::Whole(values), Cell::Time(time)) => {
                values.push(time.0);
                true
            }
            (Values::Number(values), Cell::Number(value)) => {
                values.push(value);
                true
            }
            (Values::Number(values), Cell::Whole(value)) => {
                values.push(value as f64);
                true
            }
            (Values::Flag(values), Cell::Flag(value)) => {
                values.push(value);
                true
            }
            (Values::Text(values), cell) => {
                let mut text = String::new();
                plain(cell, &mut text);
                values.push(text.as_str().into());
                true
            }
            _ => false,
        };
        self.levels.push(i16::from(there));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntpscope_core::model::{At, InputId, Origin, Peer, Place};
    use ntpscope_core::time::Time;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    #[test]
    fn what_was_written_is_read_again_by_the_library() {
        let path = std::env::temp_dir().join(format!("ntpscope-parquet-{}", std::process::id()));
        let mut file = Parquet::new(Table::Peer, std::fs::File::create(&path).expect("a folder")).expect("a file");
        for line in 1..=GROUP as u32 + 1 {
            let at = At {
                time: Some(Time(i64::from(line))),
                ..At::origin(Origin { input: InputId(0), place: Place::Line(line) })
            };
            let peer = Peer { reach: Some(0o377), offset_s: Some(-0.5), ..Peer::new(at, "192.0.2.1") };
            file.row(&Row::Peer(peer), Owner { input: "p", host: "" }).expect("the disk takes it");
        }
        file.finish().expect("the disk takes it");
        let reader = SerializedFileReader::new(std::fs::File::open(&path).expect("just written")).expect("Parquet");
        std::fs::remove_file(&path).expect("just written");
        assert_eq!(reader.metadata().num_row_groups(), 2);
        let last = reader.get_row_iter(None).expect("rows").last().expect("the last").expect("a row").to_string();
        let want = "{input: \"p\", line: 65537, host: null, time: 65537, source: \"192.0.2.1\", tally: null, \
                    status: null, accepted: null, refid: null, stratum: null, poll_s: null, reach: \"377\", offset_s: -5E-1";
        assert!(last.starts_with(want), "{last}");
    }
}
