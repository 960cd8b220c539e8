use std::fmt;

/// What a figure must reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Required {
    AtLeast(f64),
    AtMost(f64),
    /// Stated for comparison.
    #[allow(dead_code, reason = "only the peers state figures without a bound")]
    Nothing,
}

impl Required {
    pub(crate) fn met_by(self, value: f64) -> &'static str {
        let met = match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Nothing => return "",
        };
        if met { "ok" } else { "missed" }
    }
}

impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::Nothing => f.write_str(""),
        }
    }
}

/// Starts a table of figures.
pub(crate) fn head() {
    println!("\n| what | value | beside | ratio | required | |\n|---|---|---|---|---|---|");
}

/// Prints one line: a figure, what it is compared with, and their ratio beside what it must reach.
pub(crate) fn line(what: &str, value: &str, beside: &str, ratio: f64, required: Required) {
    println!("| {what} | {value} | {beside} | {ratio:.2} | {required} | {} |", required.met_by(ratio));
}

pub(crate) fn nanos(seconds: f64) -> String {
    format!("{:.0} ns", seconds * 1e9)
}
