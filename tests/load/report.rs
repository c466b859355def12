//! Figures of several rounds and how they are shown: medians, spreads, ratios of the same round, tables in Markdown.
//! Out: where figures come from.

/// One figure, once per round; `None` where a round has none.
#[derive(Default, Clone)]
pub struct Series(Vec<Option<f64>>);

impl Series {
    /// The next round's.
    pub fn push(&mut self, value: Option<f64>) {
        self.0.push(value.filter(|value| value.is_finite()));
    }

    /// Round by round, this and the other's.
    fn with(&self, other: &Self, join: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| Some(join((*a)?, (*b)?)).filter(|v| v.is_finite())).collect())
    }

    /// This by the other's of the same round.
    pub fn by(&self, other: Option<&Self>) -> Self {
        other.map_or_else(Self::default, |other| self.with(other, |a, b| a / b))
    }

    /// This minus the other's of the same round.
    pub fn minus(&self, other: Option<&Self>) -> Self {
        other.map_or_else(Self::default, |other| self.with(other, |a, b| a - b))
    }

    /// Round by round, the greater of both.
    pub fn greater(&self, other: &Self) -> Self {
        self.with(other, f64::max)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values: Vec<f64> = self.0.iter().flatten().copied().collect();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The middle one; of an even number the mean of the middle two.
    pub fn median(&self) -> Option<f64> {
        let values = self.sorted();
        let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
        Some(f64::midpoint(*low, *high))
    }

    /// The median alone, with so many digits; empty without one.
    pub fn shown(&self, digits: usize) -> String {
        self.median().map_or_else(String::new, |median| number(median, digits))
    }

    /// The median with smallest and largest behind it.
    pub fn spread(&self, digits: usize) -> String {
        match (self.sorted().as_slice(), self.median()) {
            ([], _) | (_, None) => String::new(),
            ([_], Some(median)) => number(median, digits),
            ([least, .., most], Some(median)) => {
                format!("{} ({}-{})", number(median, digits), number(*least, digits), number(*most, digits))
            }
        }
    }

    /// The median as a ratio.
    pub fn ratio(&self) -> String {
        self.median().map_or_else(String::new, |median| format!("{median:.2}x"))
    }
}

/// A count with thousands set apart.
pub fn count(value: impl TryInto<u64>) -> String {
    number(value.try_into().map_or(f64::NAN, |value| value as f64), 0)
}

/// With so many digits behind the point, and thousands set apart.
fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, rest)| (whole, rest));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    out
}

/// A table for terminals and for the results page.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns.
    pub fn new(columns: &[&str]) -> Self {
        Self { rows: vec![columns.iter().map(|&name| name.to_owned()).collect()] }
    }

    /// One more row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// To standard output, under a title and a note; nothing when it has no row.
    pub fn print(&self, title: &str, note: &str) {
        let Some((head, rows)) = self.rows.split_first().filter(|(_, rows)| !rows.is_empty()) else { return };
        let width = |at: usize| self.rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..head.len()).map(|at| width(at).unwrap_or(0).max(3)).collect();
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("| {} |", cells.join(" | "))
        };
        println!("\n## {title}\n\n{note}\n\n{}", line(head));
        println!("{}", line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>()));
        for row in rows {
            println!("{}", line(row));
        }
    }
}
