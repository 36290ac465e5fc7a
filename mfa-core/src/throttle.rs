//! How many codes in a row a login must bring.
//!
//! The one place where guessing is slowed down. Until charges are kept, one code is enough as
//! long as it is known which codes were used.

use crate::spend::RUN_WITHOUT_STATE;

/// What one login is held to.
pub struct Throttle {
    run: usize,
}

impl Throttle {
    /// `state_known`: whether it is known which codes were used.
    pub fn new(state_known: bool) -> Throttle {
        let run = if state_known { 1 } else { RUN_WITHOUT_STATE };
        Throttle { run }
    }

    /// Whether `run` codes in a row are enough to be judged.
    pub fn allows(&self, run: usize) -> bool {
        run >= self.run
    }
}
