//! The functions that the language itself has: Rhai tells them only where it brings its metadata along.

/// By their names, in order.
#[rustfmt::skip]
pub(crate) const LANGUAGE: &[&str] = &[
    "E", "Fn", "PI", "abs", "acos", "acosh", "all", "append", "as_string", "asin", "asinh", "atan",
    "atanh", "bits", "blob", "bytes", "call", "ceiling", "chars", "chop", "clear", "contains",
    "cos", "cosh", "crop", "curry", "debug", "dedup", "drain", "end", "ends_with", "exit", "exp",
    "extract", "fill_with", "filter", "find", "find_map", "floor", "for_each", "fraction",
    "get_bit", "get_bits", "hypot", "index_of", "insert", "int", "is_anonymous", "is_def_fn",
    "is_def_var", "is_empty", "is_even", "is_exclusive", "is_finite", "is_inclusive",
    "is_infinite", "is_nan", "is_odd", "is_shared", "is_zero", "keys", "len", "ln", "log",
    "make_lower", "make_upper", "map", "max", "min", "mixin", "order", "order_by", "order_desc",
    "pad", "parse_be_float", "parse_be_int", "parse_float", "parse_int", "parse_json",
    "parse_le_float", "parse_le_int", "pop", "push", "range", "reduce", "reduce_rev", "remove",
    "replace", "retain", "reverse", "round", "set_bit", "set_bits", "set_tag", "shift", "sign",
    "sin", "sinh", "some", "sort", "sort_by", "sort_desc", "splice", "split", "split_rev", "sqrt",
    "start", "starts_with", "sub_string", "tag", "take", "tan", "tanh", "to_array", "to_binary",
    "to_blob", "to_chars", "to_debug", "to_degrees", "to_float", "to_hex", "to_int", "to_json",
    "to_lower", "to_octal", "to_radians", "to_string", "to_upper", "trim", "truncate", "type_of",
    "values", "write_ascii", "write_be", "write_le", "write_utf8", "zip",
];
