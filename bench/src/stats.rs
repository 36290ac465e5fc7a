//! What many measurements come to.

/// Measurements of one thing, in microseconds, in the runs in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Vec<f64>>);

impl Samples {
    /// Begins a new run.
    pub fn begin_run(&mut self) {
        self.0.push(Vec::new());
    }

    /// Adds one of the present run.
    pub fn push(&mut self, microseconds: f64) {
        if self.0.is_empty() {
            self.begin_run();
        }
        self.0.last_mut().expect("a run").push(microseconds);
    }

    /// Half of all lie below it.
    pub fn median(&self) -> f64 {
        quantile(self.0.concat(), 0.5)
    }

    /// 95 of 100 lie below it.
    pub fn p95(&self) -> f64 {
        quantile(self.0.concat(), 0.95)
    }

    /// Between the largest and the smallest median of a run, as a part of the median of all.
    pub fn spread(&self) -> f64 {
        let runs = self.0.iter().filter(|run| !run.is_empty());
        let medians: Vec<f64> = runs.map(|run| quantile(run.clone(), 0.5)).collect();
        let largest = medians.iter().copied().fold(f64::MIN, f64::max);
        let smallest = medians.iter().copied().fold(f64::MAX, f64::min);
        (largest - smallest) / self.median()
    }
}

/// So large a part of all lies below it.
pub fn quantile(mut all: Vec<f64>, part: f64) -> f64 {
    assert!(!all.is_empty(), "nothing was measured");
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * part).round() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_spread_of_known_numbers() {
        let mut samples = Samples::default();
        for run in [1.0, 2.0, 3.0] {
            samples.begin_run();
            (0..=100).for_each(|n| samples.push(f64::from(n) + run));
        }
        assert_eq!((samples.median(), samples.p95()), (52.0, 97.0));
        assert_eq!(samples.spread(), 2.0 / 52.0);
    }
}
