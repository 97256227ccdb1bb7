//! How the columns of a billboard lie.

/// Columns that follow the names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// `apeers`: the association's id.
    Assid,
    /// Junos: how the source authenticates.
    Auth,
    Stratum,
    /// Unicast, broadcast, local …; NTPsec: the number of NTS cookies.
    Kind,
    When,
    Poll,
    Reach,
    Delay,
    Offset,
    Jitter,
    /// In `opeers`, in ntpdc, and until ntpd 4.1.
    Dispersion,
    RootDelay,
    RootDispersion,
}

/// As headers name them; a column's number is its place here.
pub const COLUMNS: [(&str, Column); 13] = [
    ("assid", Column::Assid),
    ("auth", Column::Auth),
    ("st", Column::Stratum),
    ("t", Column::Kind),
    ("when", Column::When),
    ("poll", Column::Poll),
    ("reach", Column::Reach),
    ("delay", Column::Delay),
    ("offset", Column::Offset),
    ("jitter", Column::Jitter),
    ("disp", Column::Dispersion),
    ("rootdelay", Column::RootDelay),
    ("rootdisp", Column::RootDispersion),
];

/// How the columns of one billboard lie.
#[derive(Default)]
pub struct Layout {
    /// Where the tally stands: right of the names of servers, which are printed where several were asked.
    pub tally: usize,
    /// Whether several servers were asked, so that their names stand leftmost.
    pub servers: bool,
    /// Whether the local address stands in place of the refid.
    pub local: bool,
    /// NTPsec's `rpeers`: refid, tally and name come last.
    pub reverse: bool,
    pub columns: Vec<Column>,
}

impl Layout {
    /// What a header says; `None` where `line` is none.
    pub fn of(line: &str) -> Option<Layout> {
        let at = line.find("remote")?;
        let (before, names) = line.split_at_checked(at)?;
        let reverse = names.len() == "remote".len();
        let mut layout = Layout { reverse, ..Layout::default() };
        let names = if reverse {
            before.trim_end().strip_suffix('T')?.trim_end().strip_suffix("refid")?
        } else {
            let lead = before.trim();
            layout.servers = ["server", "host"].iter().any(|word| lead.starts_with(word));
            // Pages show billboards, too.
            if !(lead.is_empty() || layout.servers || (lead.starts_with('<') && lead.ends_with('>'))) {
                return None;
            }
            // A tally, fourteen characters of the name; the word is centred.
            layout.tally = at.saturating_sub(5);
            let names = names.strip_prefix("remote")?.trim_start();
            layout.local = names.starts_with("local ");
            names.strip_prefix(if layout.local { "local " } else { "refid " })?
        };
        for name in names.split_whitespace() {
            let (_, column) = COLUMNS.iter().find(|(known, _)| *known == name)?;
            if layout.has(*column) {
                return None;
            }
            layout.columns.push(*column);
        }
        use Column::{Delay, Dispersion, Jitter, Kind, Offset, Poll, Reach, Stratum, When};
        let has = |columns: &[Column]| columns.iter().all(|column| layout.has(*column));
        let fits = has(&[Stratum, Poll, Reach, Delay, Offset])
            && (layout.has(Jitter) || layout.has(Dispersion))
            && layout.has(Kind) == layout.has(When);
        fits.then_some(layout)
    }

    pub fn has(&self, column: Column) -> bool {
        self.columns.contains(&column)
    }

    /// ntpdc has no column `when`, and prints seconds (ntpdc_ops.c, `dopeers`).
    pub fn in_seconds(&self) -> bool {
        !self.has(Column::When)
    }
}
