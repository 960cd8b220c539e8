//! Progress bars on the long parts, where a person watches.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    pub(crate) fn new(shown: bool) -> Self {
        Self { shown }
    }

    pub(crate) fn bar(&self, what: &'static str, length: usize) -> ProgressBar {
        let bar = ProgressBar::new(length as u64).with_message(what);
        if !self.shown {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        match ProgressStyle::with_template("{msg:>12} {bar:40} {pos}/{len}") {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}
