//! The distribution of the scores before and after, as a picture. No I/O.

use std::fmt::Write;

use super::report::Report;

const WIDTH: u32 = 720;
const HEIGHT: u32 = 320;
const LEFT: u32 = 56;
const RIGHT: u32 = 16;
const TOP: u32 = 48;
const BOTTOM: u32 = 48;
/// Lines across the picture.
const LINES: u64 = 4;
/// Told apart by people who see few colours, and in print: the second is hatched as well.
const BEFORE: &str = "#5b6b7f";
const AFTER: &str = "#0b62c4";

/// An SVG with a title and a description in words.
pub fn svg(report: &Report) -> String {
    let mut out = head(report);
    let (width, height) = (f64::from(WIDTH - LEFT - RIGHT), f64::from(HEIGHT - TOP - BOTTOM));
    let most = report.distribution.iter().flat_map(|bin| [bin.before, bin.after]).max().unwrap_or(0);
    let most = ceiling(most);
    let y = |calls: u64| f64::from(TOP) + height - height * calls as f64 / most as f64;
    let right = WIDTH - RIGHT;
    for line in 0..=LINES {
        let calls = most * line / LINES;
        let at = y(calls);
        let _ = write!(out, r##"<line x1="{LEFT}" y1="{at:.1}" x2="{right}" y2="{at:.1}" stroke="#d5dae1"/>"##);
        let _ = write!(out, r#"<text x="{}" y="{:.1}" text-anchor="end">{calls}</text>"#, LEFT - 6, at + 4.0);
    }
    let step = width / report.distribution.len().max(1) as f64;
    for (n, bin) in report.distribution.iter().enumerate() {
        let x = f64::from(LEFT) + step * n as f64;
        for (calls, offset, fill, when) in
            [(bin.before, 0.08, BEFORE, "now"), (bin.after, 0.5, "url(#after)", "back-test")]
        {
            let (x, top) = (x + step * offset, y(calls));
            let (wide, high) = (step * 0.42, f64::from(TOP) + height - top);
            let _ = write!(
                out,
                r#"<rect x="{x:.1}" y="{top:.1}" width="{wide:.1}" height="{high:.1}" fill="{fill}"><title>{} to {}, {when}: {calls} calls</title></rect>"#,
                bin.from, bin.to
            );
        }
        if n.is_multiple_of(2) {
            let _ = write!(out, r#"<text x="{x:.1}" y="{}" text-anchor="middle">{}</text>"#, HEIGHT - 28, bin.from);
        }
    }
    let _ = write!(out, r#"<text x="{right}" y="{}" text-anchor="middle">100</text>"#, HEIGHT - 28);
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2;
    let _ = write!(out, r#"<text x="{middle}" y="{}" text-anchor="middle">overall score</text></svg>"#, HEIGHT - 8);
    out
}

fn head(report: &Report) -> String {
    let plugin = escaped(&report.plugin);
    let overall = &report.overall;
    let mean = |mean: Option<f64>| mean.map_or_else(|| "none".to_owned(), |mean| format!("{mean:.2}"));
    let words = format!(
        "{} calls in parts of five points. Mean {} now, {} in the back-test. {} calls would fail that pass now, {} would pass that fail now.",
        overall.calls,
        mean(overall.mean_before),
        mean(overall.mean_after),
        overall.to_fail,
        overall.to_pass
    );
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title description" font-family="sans-serif" font-size="12" fill="#1c2430">
<title id="title">Overall scores now and by {plugin}</title>
<desc id="description">{words}</desc>
<defs><pattern id="after" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" fill="{AFTER}"/><line x1="0" y1="0" x2="0" y2="6" stroke="#6fa8ee" stroke-width="2"/></pattern></defs>
<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>
<rect x="{LEFT}" y="16" width="12" height="12" fill="{BEFORE}"/><text x="{}" y="26">now: mean {}</text>
<rect x="{}" y="16" width="12" height="12" fill="url(#after)"/><text x="{}" y="26">{plugin}: mean {}</text>
"##,
        LEFT + 18,
        mean(overall.mean_before),
        LEFT + 180,
        LEFT + 198,
        mean(overall.mean_after)
    )
}

/// The next number that four lines part into whole ones.
fn ceiling(most: u64) -> u64 {
    most.max(1).next_multiple_of(LINES)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::evaluations::backtest::samples;

    #[test]
    fn it_shows_both_sides_and_says_so_in_words() {
        let mut report = samples::report();
        report.plugin = "a<script>&\u{7} 1.0".to_owned();
        let svg = svg(&report);
        assert_eq!(svg.matches("calls</title>").count(), 40, "twenty parts on two sides");
        assert!(svg.contains("<desc id=\"description\">3 calls in parts of five points. Mean 80.00 now"), "{svg}");
        assert!(svg.contains("a&lt;script&gt;&amp;  1.0") && !svg.contains("<script>"));
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
    }

    #[test]
    fn nothing_found_is_a_picture_too() {
        let svg = svg(&samples::empty_report());
        assert!(svg.contains("0 calls") && !svg.contains("NaN"));
    }
}
