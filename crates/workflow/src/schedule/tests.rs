//! Schedules as tables: the expression, the zone, and when it fires.

use insta::assert_snapshot;

use super::*;

fn schedule(cron: &str, zone_name: &str) -> Schedule {
    Schedule::new(Cron::parse(cron).unwrap(), zone(zone_name).unwrap(), Missed::RunOnce)
}

/// The next times after this one, as clocks in the zone show them.
fn fires(cron: &str, zone: &str, after: &str, times: usize) -> String {
    let schedule = schedule(cron, zone);
    let shown = |time: Timestamp| {
        let time = DateTime::from_timestamp_millis(time.as_millis()).unwrap().with_timezone(&schedule.zone);
        time.format("%a %Y-%m-%d %H:%M %z\n").to_string()
    };
    schedule.times(after.parse().unwrap()).take(times).map(shown).collect()
}

#[test]
fn weekdays_are_those_of_a_crontab() {
    let days = |field: &str| named_weekdays(field).unwrap_or_else(|| "-".to_owned());
    let fields = "* 0 7 1-5 5-7 0-7 */2 1-5/2 SAT-MON mon,Wed 3/2 8 1-8 MONDAY 1/0 -".split(' ');
    let shown: String = fields.map(|field| format!("{field}: {}\n", days(field))).collect();
    assert_snapshot!(shown, @"
    *: *
    0: SUN
    7: SUN
    1-5: MON,TUE,WED,THU,FRI
    5-7: SUN,FRI,SAT
    0-7: SUN,MON,TUE,WED,THU,FRI,SAT
    */2: SUN,TUE,THU,SAT
    1-5/2: MON,WED,FRI
    SAT-MON: SUN,MON,SAT
    mon,Wed: MON,WED
    3/2: WED,FRI
    8: -
    1-8: -
    MONDAY: -
    1/0: -
    -: -
    ");
    assert_snapshot!(fires("0 8 * * 1-5", "UTC", "2026-11-20T08:00:00Z", 3), @"
    Mon 2026-11-23 08:00 +0000
    Tue 2026-11-24 08:00 +0000
    Wed 2026-11-25 08:00 +0000
    ");
}

#[test]
fn a_time_that_the_clocks_leave_out_fires_once_right_after() {
    assert_snapshot!(fires("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3), @"
    Sat 2026-03-28 02:30 +0100
    Sun 2026-03-29 03:00 +0200
    Mon 2026-03-30 02:30 +0200
    ");
    assert_snapshot!(fires("*/20 2 * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 3), @"
    Sun 2026-03-29 03:00 +0200
    Mon 2026-03-30 02:00 +0200
    Mon 2026-03-30 02:20 +0200
    ");
    assert_snapshot!(fires("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:20:00Z", 3), @"
    Sun 2026-03-29 01:30 +0100
    Sun 2026-03-29 03:00 +0200
    Sun 2026-03-29 03:30 +0200
    ");
}

#[test]
fn a_time_that_the_clocks_show_twice_fires_at_the_first() {
    assert_snapshot!(fires("30 2 * * *", "Europe/Berlin", "2026-10-24T01:00:00Z", 3), @"
    Sun 2026-10-25 02:30 +0200
    Mon 2026-10-26 02:30 +0100
    Tue 2026-10-27 02:30 +0100
    ");
    assert_snapshot!(fires("30 1,2,3 * * *", "America/New_York", "2026-11-01T05:00:00Z", 4), @"
    Sun 2026-11-01 01:30 -0400
    Sun 2026-11-01 02:30 -0500
    Sun 2026-11-01 03:30 -0500
    Mon 2026-11-02 01:30 -0500
    ");
}

#[test]
fn a_schedule_of_every_hour_goes_on_while_the_clocks_are_set_back() {
    assert_snapshot!(fires("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 7), @"
    Sun 2026-10-25 02:00 +0200
    Sun 2026-10-25 02:30 +0200
    Sun 2026-10-25 02:00 +0100
    Sun 2026-10-25 02:30 +0100
    Sun 2026-10-25 03:00 +0100
    Sun 2026-10-25 03:30 +0100
    Sun 2026-10-25 04:00 +0100
    ");
    assert_snapshot!(fires("0 * * * *", "Australia/Lord_Howe", "2026-04-04T13:30:00Z", 4), @"
    Sun 2026-04-05 01:00 +1100
    Sun 2026-04-05 02:00 +1030
    Sun 2026-04-05 03:00 +1030
    Sun 2026-04-05 04:00 +1030
    ");
}

#[test]
fn months_have_their_own_ends() {
    assert_snapshot!(fires("0 0 31 * *", "UTC", "2026-01-31T00:00:00Z", 3), @"
    Tue 2026-03-31 00:00 +0000
    Sun 2026-05-31 00:00 +0000
    Fri 2026-07-31 00:00 +0000
    ");
    assert_snapshot!(fires("0 12 29 2 *", "Asia/Kathmandu", "2026-01-01T00:00:00Z", 2), @"
    Tue 2028-02-29 12:00 +0545
    Sun 2032-02-29 12:00 +0545
    ");
    assert_snapshot!(fires("59 23 28-31 DEC *", "Pacific/Apia", "2026-12-29T12:00:00Z", 3), @"
    Wed 2026-12-30 23:59 +1300
    Thu 2026-12-31 23:59 +1300
    Tue 2027-12-28 23:59 +1300
    ");
}

#[test]
fn what_is_wrong_is_said() {
    let wrong = [
        "",
        "0 8 * *",
        "0 0 8 * * 1",
        "60 8 * * *",
        "0 24 * * *",
        "0 8 0 * *",
        "0 8 * 13 *",
        "0 8 * * 8",
        "0 8 L * *",
        "0 8 ? * MON",
        "*/0 * * * *",
        "0 8 * * MON#2",
        "0 8 13 * FRI",
        "0 8 30 2 *",
        "0 8 31 4,6 *",
        "@daily",
        "0 8 5-1 * *",
    ];
    let shown = wrong.map(|text| match Cron::parse(text) {
        Ok(cron) => format!("{text}: fine, {cron:?}\n"),
        Err((message, _)) => format!("{text}: {message}\n"),
    });
    assert_snapshot!(shown.concat(), @"
    : a schedule has five fields, not 0
    0 8 * *: a schedule has five fields, not 4
    0 0 8 * * 1: a schedule has five fields, not 6
    60 8 * * *: `60` is no minute
    0 24 * * *: `24` is no hour
    0 8 0 * *: `0` is no day of the month
    0 8 * 13 *: `13` is no month
    0 8 * * 8: `8` is no weekday
    0 8 L * *: `L` is no day of the month
    0 8 ? * MON: both a day of the month and a weekday are given
    */0 * * * *: `*/0` is no minute
    0 8 * * MON#2: `MON#2` is no weekday
    0 8 13 * FRI: both a day of the month and a weekday are given
    0 8 30 2 *: this never fires
    0 8 31 4,6 *: this never fires
    @daily: a schedule has five fields, not 1
    0 8 5-1 * *: `5-1` is no day of the month
    ");
}

#[test]
fn the_last_time_of_a_span_is_found_however_long_it_is() {
    let span = |cron: &str, after: &str, until: &str| {
        let last =
            schedule(cron, "Europe/Berlin").last_within(after.parse().unwrap(), until.parse().unwrap());
        last.map_or("none".to_owned(), |last| last.to_string())
    };
    let end = "2026-06-01T06:30:00Z";
    assert_eq!(span("0 8 * * *", "2026-06-01T06:00:00Z", end), "none", "the beginning is left out");
    assert_eq!(span("30 8 * * *", "2026-06-01T06:00:00Z", end), "2026-06-01T06:30:00.000Z", "the end is not");
    assert_eq!(span("* * * * *", "2016-01-01T00:00:00Z", end), "2026-06-01T06:30:00.000Z");
    assert_eq!(span("0 0 29 2 *", "1999-01-01T00:00:00Z", end), "2024-02-28T23:00:00.000Z");
    assert_eq!(span("0 0 1 1 *", "2026-02-01T00:00:00Z", end), "none");
}

#[test]
fn times_only_grow_and_none_is_left_out() {
    let expressions = ["*/7 * * * *", "0 2,3 * * *", "30 2 * * 0", "15 */5 * * *", "0 0 1 * *"];
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "America/Havana",
        "UTC",
    ];
    for (cron, zone) in expressions.iter().flat_map(|cron| zones.map(|zone| (cron, zone))) {
        let schedule = schedule(cron, zone);
        for change in
            ["2026-03-28T00:00:00Z", "2026-10-24T00:00:00Z", "2026-04-03T00:00:00Z", "2026-02-13T00:00:00Z"]
        {
            let start: Timestamp = change.parse().unwrap();
            let times: Vec<Timestamp> = schedule.times(start).take(25).collect();
            assert!(times.is_sorted_by(|one, next| one < next), "{cron} {zone}: {times:?}");
            // Whichever moment is asked about between two of them, the answer is the second.
            for pair in times.windows(2) {
                let gap = pair[1].since(pair[0]);
                for part in [0, 1, 3] {
                    let between = pair[0].after(gap * part / 4);
                    assert_eq!(schedule.next_after(between), Some(pair[1]), "{cron} {zone} after {between}");
                }
            }
        }
    }
}
