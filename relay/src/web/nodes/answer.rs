//! What a caller is told of a request that no node has answered.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use peerage::limits::HTTP_RETRY_AFTER;
use peerage::{Code, Failure};

use crate::web::Refusal;

/// A request that failed on its way, or at the node.
pub(in crate::web) fn failed(failure: &Failure) -> Response {
    let status = match failure.code {
        Code::UnknownName => StatusCode::NOT_FOUND,
        // It is known, and may be back or have time soon.
        Code::Unreachable | Code::Gone | Code::Left | Code::Overloaded => {
            let seconds = HTTP_RETRY_AFTER.as_secs();
            let response = refusal(StatusCode::SERVICE_UNAVAILABLE, failure);
            return ([(header::RETRY_AFTER, seconds)], response).into_response();
        }
        Code::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    refusal(status, failure)
}

/// A status with the reason.
pub(in crate::web) fn refusal(status: StatusCode, failure: &Failure) -> Response {
    let body = Json(Refusal {
        code: failure.code.as_str(),
        message: failure.in_words(),
    });
    (status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
}
