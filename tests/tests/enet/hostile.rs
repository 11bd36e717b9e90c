//! What is meant to do harm, beside stock clients that are not to notice.
