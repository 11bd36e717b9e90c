// A clock that goes on while its page is hidden: a worker's timers are not slowed down.
setInterval(() => postMessage(undefined), 50);
