//! Money that may be spent: reserved before a call, settled after it, so that calls at the same time cannot together
//! spend more than there is.

/// A budget in its period, in USD.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// The most that may be spent. `None`: no bound.
    pub max: Option<f64>,
    /// What was spent.
    pub spent: f64,
    /// What calls that are running may still spend.
    pub reserved: f64,
}

/// A billionth of a dollar: what sums of decimal fractions are off by does not refuse the last call.
const TOLERANCE: f64 = 1e-9;

/// A budget has not enough left.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("Budget has been exceeded! Current cost: {current_cost:?}, Max budget: {max_budget:?}")]
pub struct BudgetExceeded {
    /// What was spent and is reserved.
    pub current_cost: f64,
    /// The most that may be spent.
    pub max_budget: f64,
    /// What the call would cost.
    pub amount: f64,
}

impl Budget {
    /// Sets an amount aside for a call.
    ///
    /// A budget that is used up refuses calls that cost nothing too, as in LiteLLM. Amounts that are no amounts
    /// (negative, infinite, not a number) and sums that became so are refused where there is a bound.
    ///
    /// # Errors
    /// [`BudgetExceeded`]; the budget stays as it is.
    pub fn reserve(self, amount: f64) -> Result<Self, BudgetExceeded> {
        let Some(max) = self.max else { return Ok(Self { reserved: self.reserved + clean(amount), ..self }) };
        let current_cost = self.spent + self.reserved;
        let fits = amount >= 0.0 && current_cost + TOLERANCE < max && current_cost + amount <= max + TOLERANCE;
        if fits {
            return Ok(Self { reserved: self.reserved + amount, ..self });
        }
        Err(BudgetExceeded { current_cost, max_budget: max, amount })
    }

    /// Gives back what was set aside for a call and books what it cost. What a call really cost is booked even where
    /// it is more than was left.
    pub fn settle(self, reserved: f64, cost: f64) -> Self {
        Self { spent: self.spent + clean(cost), reserved: (self.reserved - clean(reserved)).max(0.0), ..self }
    }
}

fn clean(amount: f64) -> f64 {
    if amount.is_finite() && amount > 0.0 { amount } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(max: f64) -> Budget {
        Budget { max: Some(max), ..Budget::default() }
    }

    #[test]
    fn what_is_left_may_be_spent_and_no_more() {
        let cases = [
            ("half", of(1.0), 0.5, true),
            ("all", of(1.0), 1.0, true),
            ("more", of(1.0), 1.01, false),
            ("nothing to spend, a free call", of(0.0), 0.0, false),
            ("used up, a free call", Budget { spent: 1.0, ..of(1.0) }, 0.0, false),
            ("reserved by others", Budget { reserved: 0.8, ..of(1.0) }, 0.3, false),
            ("beside others", Budget { reserved: 0.8, ..of(1.0) }, 0.2, true),
            ("no bound", Budget::default(), 1e9, true),
            ("a negative amount", of(1.0), -5.0, false),
            ("not a number", of(1.0), f64::NAN, false),
            ("a bound that is not a number", of(f64::NAN), 0.1, false),
            ("spent is not a number", Budget { spent: f64::NAN, ..of(1.0) }, 0.1, false),
            ("a negative bound", of(-1.0), 0.0, false),
        ];
        for (case, budget, amount, fits) in cases {
            assert_eq!(budget.reserve(amount).is_ok(), fits, "{case}");
        }
    }

    #[test]
    fn ten_calls_of_ten_cents_cost_a_dollar() {
        let mut budget = of(1.0);
        for _ in 0..10 {
            budget = budget.reserve(0.1).unwrap().settle(0.1, 0.1);
        }
        let error = budget.reserve(0.1).unwrap_err();
        assert!(error.to_string().starts_with("Budget has been exceeded! Current cost: 0.99"), "{error}");
        assert!(of(0.3).reserve(0.1).unwrap().reserve(0.1).unwrap().reserve(0.1).is_ok());
    }

    proptest! {
        #[test]
        fn calls_at_the_same_time_never_spend_more_than_there_is(
            max in 0.0..100.0f64, amounts in proptest::collection::vec((0.0..20.0f64, any::<bool>()), 0..50)
        ) {
            let mut budget = of(max);
            let mut running = Vec::new();
            for (amount, ends) in amounts {
                if let Ok(reserved) = budget.reserve(amount) {
                    budget = reserved;
                    running.push(amount);
                }
                if let (true, Some(amount)) = (ends, running.pop()) {
                    budget = budget.settle(amount, amount);
                }
                prop_assert!(budget.spent + budget.reserved <= max + 1e-6);
            }
        }
    }
}
