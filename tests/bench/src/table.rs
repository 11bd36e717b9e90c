//! How results are printed.

use crate::load::quantile;

pub(crate) fn heading(name: &str, columns: &[&str]) {
    print!("\n{name:<30}");
    columns.iter().for_each(|column| print!(" {column:>20}"));
    println!();
}

pub(crate) fn row(name: &str, values: &[f64]) {
    print!("  {name:<28}");
    values.iter().for_each(|value| print!(" {value:>20.2}"));
    println!();
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}
