//! LiteLLM's durations (`30s`, `30m`, `24h`, `7d`, `4w`, `1mo`) and the times at which budgets begin anew.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, Months, NaiveTime, TimeDelta, Timelike as _, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How long a budget's period is, or how long a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    count: u32,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

/// A hundred years: longer periods are typing errors, and times beyond overflow.
const LONGEST_S: u64 = 100 * 366 * 86_400;

impl Unit {
    fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Month => 31 * 86_400,
        }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
            Self::Week => "w",
            Self::Month => "mo",
        }
    }
}

impl Period {
    /// When something ends that begins now and lasts this long: a key's `expires`. Months are those of the calendar.
    pub fn after(self, start: DateTime<Utc>) -> DateTime<Utc> {
        let end = match self.unit {
            Unit::Month => start.checked_add_months(Months::new(self.count)),
            unit => {
                start.checked_add_signed(TimeDelta::seconds((u64::from(self.count) * unit.seconds()).cast_signed()))
            }
        };
        end.unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// When a budget that is looked at now begins anew (`budget_reset_at`), in UTC.
    ///
    /// As in LiteLLM, periods end where people expect it: days at midnight, `7d` on Monday, `30d` and months on the
    /// first, hours, minutes and seconds at multiples of the period within the day, hour or minute. Unlike there, `48h`
    /// lasts two days and `2mo` is no error.
    pub fn next_reset(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let count = u64::from(self.count);
        let midnight = now.with_time(NaiveTime::MIN).single().unwrap_or(now);
        let within = |base: DateTime<Utc>, so_far: u32, unit_s: u64| {
            let so_far = u64::from(so_far);
            base + TimeDelta::seconds(((so_far + count - so_far % count) * unit_s).cast_signed())
        };
        let minute = now - TimeDelta::seconds(now.second().into()) - TimeDelta::nanoseconds(now.nanosecond().into());
        match self.unit {
            Unit::Second => within(minute, now.second(), 1),
            Unit::Minute => within(minute - TimeDelta::minutes(now.minute().into()), now.minute(), 60),
            Unit::Hour => within(midnight, now.hour(), 3_600),
            Unit::Day if self.count == 30 => first_of_month(midnight, 1),
            Unit::Day if self.count == 7 => {
                midnight + Days::new(7 - u64::from(midnight.weekday().num_days_from_monday()))
            }
            Unit::Day => midnight + Days::new(count),
            Unit::Week if self.count == 1 => Self { count: 7, unit: Unit::Day }.next_reset(now),
            Unit::Week => midnight + Days::new(count * 7),
            Unit::Month => first_of_month(midnight, self.count),
        }
    }
}

fn first_of_month(midnight: DateTime<Utc>, months: u32) -> DateTime<Utc> {
    let first = midnight - Days::new(u64::from(midnight.day0()));
    first.checked_add_months(Months::new(months)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// A text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no duration; write a number from 1 on with s, m, h, d, w or mo, like `30d`, up to a hundred years")]
pub struct PeriodError(String);

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let error = || PeriodError(text.to_owned());
        let word = match text.trim().to_ascii_lowercase().as_str() {
            "hourly" => "1h",
            "daily" => "24h",
            "weekly" => "7d",
            "monthly" => "30d",
            _ => text.trim(),
        };
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = word.split_at(digits);
        let count: u32 = count.parse().map_err(|_| error())?;
        let units = [Unit::Second, Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month];
        // LiteLLM takes a number without a unit where it measures and refuses it where it stores.
        let unit = units.into_iter().find(|it| it.sign() == unit).ok_or_else(error)?;
        let fits = (1..=LONGEST_S).contains(&(u64::from(count) * unit.seconds()));
        if fits { Ok(Self { count, unit }) } else { Err(error()) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.sign())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What to do about a budget's period now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It goes on.
    GoesOn,
    /// It is over: what was spent is forgotten, and the next one ends then.
    BeginsAnew(DateTime<Utc>),
    /// It would end later than it can: the clock was ahead when its end was written, or the period was made shorter.
    /// What was spent stays, and it ends then.
    EndsSooner(DateTime<Utc>),
}

/// Judges a budget's period. A period without an end gets one.
pub fn turn(period: Period, reset_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Turn {
    let next = period.next_reset(now);
    match reset_at {
        None => Turn::EndsSooner(next),
        Some(reset_at) if reset_at <= now => Turn::BeginsAnew(next),
        Some(reset_at) if reset_at > next => Turn::EndsSooner(next),
        Some(_) => Turn::GoesOn,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn durations_are_read_as_litellm_writes_them() {
        let cases = [
            ("30s", Some("30s")),
            ("30m", Some("30m")),
            ("24h", Some("24h")),
            ("7d", Some("7d")),
            ("2w", Some("2w")),
            ("1mo", Some("1mo")),
            (" Monthly ", Some("30d")),
            ("daily", Some("24h")),
            ("", None),
            ("d", None),
            ("30", None),
            ("0d", None),
            ("-1d", None),
            ("1.5h", None),
            ("1y", None),
            ("1d ago", None),
            ("99999999999999d", None),
            ("40000d", None),
        ];
        for (text, expected) in cases {
            let read = text.parse::<Period>().ok().map(|period| period.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn budgets_begin_anew_at_the_times_that_people_expect() {
        // A Wednesday.
        let now = "2026-11-25T14:37:42.5Z";
        let cases = [
            ("30s", "2026-11-25T14:38:00Z"),
            ("45s", "2026-11-25T14:37:45Z"),
            ("1m", "2026-11-25T14:38:00Z"),
            ("30m", "2026-11-25T15:00:00Z"),
            ("1h", "2026-11-25T15:00:00Z"),
            ("5h", "2026-11-25T15:00:00Z"),
            ("24h", "2026-11-26T00:00:00Z"),
            ("48h", "2026-11-27T00:00:00Z"),
            ("1d", "2026-11-26T00:00:00Z"),
            ("3d", "2026-11-28T00:00:00Z"),
            ("7d", "2026-11-30T00:00:00Z"),
            ("1w", "2026-11-30T00:00:00Z"),
            ("2w", "2026-12-09T00:00:00Z"),
            ("30d", "2026-12-01T00:00:00Z"),
            ("1mo", "2026-12-01T00:00:00Z"),
            ("3mo", "2027-02-01T00:00:00Z"),
        ];
        for (period, expected) in cases {
            assert_eq!(period.parse::<Period>().unwrap().next_reset(at(now)), at(expected), "{period}");
        }
        assert_eq!("7d".parse::<Period>().unwrap().next_reset(at("2026-11-30T00:00:00Z")), at("2026-12-07T00:00:00Z"));
    }

    #[test]
    fn a_key_lives_for_months_of_the_calendar() {
        let month: Period = "1mo".parse().unwrap();
        assert_eq!(month.after(at("2026-01-31T12:00:00Z")), at("2026-02-28T12:00:00Z"));
        let days: Period = "30d".parse().unwrap();
        assert_eq!(days.after(at("2026-01-31T12:00:00Z")), at("2026-03-02T12:00:00Z"));
    }

    #[test]
    fn a_clock_that_jumps_neither_forgets_what_was_spent_nor_locks_beyond_a_period() {
        let day: Period = "1d".parse().unwrap();
        let (now, next) = (at("2026-11-25T14:00:00Z"), at("2026-11-26T00:00:00Z"));
        let cases = [
            ("within", Some("2026-11-26T00:00:00Z"), Turn::GoesOn),
            ("over", Some("2026-11-25T00:00:00Z"), Turn::BeginsAnew(next)),
            ("just over", Some("2026-11-25T14:00:00Z"), Turn::BeginsAnew(next)),
            ("written when the clock was a year ahead", Some("2027-11-26T00:00:00Z"), Turn::EndsSooner(next)),
            ("without an end", None, Turn::EndsSooner(next)),
        ];
        for (case, reset_at, expected) in cases {
            assert_eq!(turn(day, reset_at.map(at), now), expected, "{case}");
        }
    }

    proptest! {
        #[test]
        fn a_period_ends_after_now_and_an_end_that_was_written_holds(
            count in 1u32..200, unit in 0usize..6, second in 0i64..4_000_000_000, later in 0i64..1_000_000
        ) {
            let unit = [Unit::Second, Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month][unit];
            let period = Period { count, unit };
            let now = DateTime::from_timestamp(second, 123_000_000).unwrap();
            let reset_at = period.next_reset(now);
            prop_assert!(reset_at > now);
            let later = now + TimeDelta::seconds(later);
            let expected_on = later < reset_at;
            prop_assert_eq!(turn(period, Some(reset_at), later) == Turn::GoesOn, expected_on);
        }
    }
}
