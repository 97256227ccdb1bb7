//! The command line, and nothing else.

use clap::{Args, Parser, Subcommand, ValueEnum};
use ntpscope_core::render::plot::{Kind, Quantity};
use ntpscope_core::table::Table;
use std::path::PathBuf;

/// Says why these clocks are wrong: reads NTP evidence and names the cause.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Name the cause, the place, the hosts affected, what is ruled out and what mends it
    ///
    /// Exit status: 0 no fault claimed, 1 a fault claimed, 2 nothing could be read.
    Diagnose(Diagnose),
    /// List the requests in captures: where each was seen, what became of it, how it was rewritten
    Exchanges(Exchanges),
    /// Show what was read: the rows of any evidence; what was not understood; or a summary
    ///
    /// Exit status: 0 something was read, 2 nothing could be. A row's host is as its line or folder names it; the summary
    /// joins the names of one host.
    Rows(Rows),
    /// Draw clocks and sources over time, many hosts below each other; histograms, stability and statistics
    ///
    /// Exit status: 0 drawn, 2 nothing to draw.
    Plot(Plot),
    /// Print the page of a cause or rule; without an ID, list them
    Explain {
        /// A cause or rule, as a report names it
        id: Option<String>,
    },
}

/// What `diagnose` takes.
#[derive(Debug, Args)]
pub struct Diagnose {
    /// Files, folders or archives (tar, zip), plain or compressed (gz, bz2, xz, zst): captures, statistics, logs, output of
    /// ntpq and chronyc, configuration, network state; `-` is standard input
    #[arg(required_unless_present = "host")]
    pub path: Vec<PathBuf>,
    /// The evidence below PATH belongs to host NAME
    ///
    /// Otherwise a host is the innermost folder that holds its files; folders that only sort by kind (pcap, stats,
    /// log …) are none. A capture named HOST_INTERFACE belongs to HOST where there is such a host.
    #[arg(long, value_name = "NAME=PATH", value_parser = host_path)]
    pub host: Vec<(String, PathBuf)>,
    /// How the report is written
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// For programs: docs/diagnosis.schema.json
    Json,
}

/// What `rows` takes.
#[derive(Debug, Args)]
pub struct Rows {
    /// Files, folders or archives of any evidence; `-` is standard input
    #[arg(required_unless_present = "host")]
    pub path: Vec<PathBuf>,
    /// The evidence below PATH belongs to host NAME; otherwise its folder or archive says whose it is
    #[arg(long, value_name = "NAME=PATH", value_parser = host_path)]
    pub host: Vec<(String, PathBuf)>,
    /// Only rows of this kind
    #[arg(long, value_enum)]
    pub table: Option<TableName>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = RowFormat::Json)]
    pub format: RowFormat,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Instead of rows: what was not understood, with line and reason
    #[arg(long, conflicts_with_all = ["table", "format"])]
    pub rejects: bool,
    /// Instead of rows: kind, host, span, rows, rejects and time of each input, and how the offsets of each source lie
    #[arg(long, conflicts_with_all = ["table", "format", "rejects"])]
    pub summary: bool,
}

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// One JSON object a line
    Json,
    /// Comma-separated values with a header; of one table
    Csv,
    /// Clock rows as lines of ntpd's loopstats
    Loopstats,
    /// Peer rows as lines of ntpd's peerstats
    Peerstats,
    /// Packet rows as lines of ntpd's rawstats
    Rawstats,
    /// Packets as a capture
    Pcapng,
    /// Parquet, of one table
    #[cfg(feature = "parquet")]
    Parquet,
}

impl RowFormat {
    /// The only table that has a place in this format.
    pub fn table(self) -> Option<Table> {
        match self {
            RowFormat::Json | RowFormat::Csv => None,
            #[cfg(feature = "parquet")]
            RowFormat::Parquet => None,
            RowFormat::Loopstats => Some(Table::Clock),
            RowFormat::Peerstats => Some(Table::Peer),
            RowFormat::Rawstats | RowFormat::Pcapng => Some(Table::Packet),
        }
    }
}

/// The kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableName {
    /// The state of a clock
    Clock,
    /// One host's view of one source
    Peer,
    /// NTP packets
    Packet,
    /// What is configured, counted, or happened
    Event,
}

/// What `plot` takes.
#[derive(Debug, Args)]
pub struct Plot {
    /// Files, folders or archives of any evidence; `-` is standard input
    #[arg(required_unless_present = "host")]
    pub path: Vec<PathBuf>,
    /// The evidence below PATH belongs to host NAME; otherwise its folder or archive says whose it is
    #[arg(long, value_name = "NAME=PATH", value_parser = host_path)]
    pub host: Vec<(String, PathBuf)>,
    /// What is drawn
    #[arg(short, long, value_enum, default_value_t = PlotKind::Time)]
    pub kind: PlotKind,
    /// Of which quantities; by default offsets, and of a single host also the frequency
    #[arg(short, long, value_enum, value_delimiter = ',')]
    pub quantity: Vec<PlotQuantity>,
    /// Draw each source too where there are several hosts
    #[arg(long)]
    pub sources: bool,
    /// One scale for all, instead of each its own
    #[arg(long)]
    pub same_scale: bool,
    /// Below the picture: percentiles, ranges, σ, mean, skewness and kurtosis, as ntpviz has them
    #[arg(long)]
    pub statistics: bool,
    /// Draw to FILE.svg or FILE.png instead of the terminal
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Draw a file on dark ground
    #[arg(long, requires = "output")]
    pub dark: bool,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlotKind {
    /// Over time, on one axis for all hosts; with steps, starts, gaps and claimed faults
    Time,
    /// How many values lie where
    Histogram,
    /// Offset against delay of each source: the wedge that a delay in one direction bends
    Wedge,
    /// The overlapping Allan deviation of offsets
    Allan,
    /// Median and 90 % range by the hour of the day
    Hours,
}

/// What is drawn of each clock or source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PlotQuantity {
    /// Reference − local
    Offset,
    /// Correction of the frequency
    Frequency,
    /// Uncertainty of the offset
    Jitter,
    /// Round-trip delay; of a clock that to the root
    Delay,
    /// Uncertainty of the frequency
    Wander,
    /// How many of the last eight polls were answered, as reach registers say
    Reach,
    /// How many requests in captures stay without an answer
    Loss,
}

/// What `exchanges` takes.
#[derive(Debug, Args)]
pub struct Exchanges {
    /// Captures (pcap, pcapng, plain or compressed) or folders of them; `-` is standard input
    #[arg(required = true)]
    pub capture: Vec<PathBuf>,
    /// Only counts: requests by server and fate
    #[arg(long)]
    pub summary: bool,
    /// Only requests with this fate: answered, late, lost, kiss, elsewhere, misdirected, unsynchronised, error,
    /// symmetric, cut
    #[arg(long, value_name = "FATE", value_parser = FATES)]
    pub fate: Option<String>,
    /// Only requests from or to this address
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<std::net::IpAddr>,
    /// Only requests with this source port at any point
    #[arg(long)]
    pub port: Option<u16>,
    /// How lines are written
    #[arg(long, value_enum, default_value_t = LineFormat::Table, conflicts_with = "summary")]
    pub format: LineFormat,
}

/// The words of `Fate::word`.
const FATES: [&str; 10] =
    ["answered", "late", "lost", "kiss", "elsewhere", "misdirected", "unsynchronised", "error", "symmetric", "cut"];

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LineFormat {
    /// Columns for people
    Table,
    /// Comma-separated values
    Csv,
    /// One JSON object a line
    Json,
}

fn host_path(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.into(), path.into())),
        _ => Err("write NAME=PATH, for example ntp1=./evidence/ntp1".into()),
    }
}

impl From<PlotKind> for Kind {
    fn from(kind: PlotKind) -> Kind {
        match kind {
            PlotKind::Time => Kind::Time,
            PlotKind::Histogram => Kind::Histogram,
            PlotKind::Wedge => Kind::Wedge,
            PlotKind::Allan => Kind::Allan,
            PlotKind::Hours => Kind::Hours,
        }
    }
}

impl From<PlotQuantity> for Quantity {
    fn from(quantity: PlotQuantity) -> Quantity {
        match quantity {
            PlotQuantity::Offset => Quantity::Offset,
            PlotQuantity::Frequency => Quantity::Frequency,
            PlotQuantity::Jitter => Quantity::Jitter,
            PlotQuantity::Delay => Quantity::Delay,
            PlotQuantity::Wander => Quantity::Wander,
            PlotQuantity::Reach => Quantity::Reach,
            PlotQuantity::Loss => Quantity::Loss,
        }
    }
}

impl From<TableName> for Table {
    fn from(name: TableName) -> Table {
        match name {
            TableName::Clock => Table::Clock,
            TableName::Peer => Table::Peer,
            TableName::Packet => Table::Packet,
            TableName::Event => Table::Event,
        }
    }
}
