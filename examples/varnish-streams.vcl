# Varnish before `runcast serve`, for streams that many read: of all who wait at one offset, or follow its events,
# one asks. Who may view is checked before it: cookies are not part of the key.
vcl 4.1;

import directors;
import std;

backend one {
    .host = "127.0.0.1";
    .port = "8765";
}

sub vcl_init {
    new hosts = directors.round_robin();
    hosts.add_backend(one);  # a backend and a line for each host, where several share their runs
}

sub vcl_recv {
    set req.backend_hint = hosts.backend();
    if (req.method != "GET" || req.url !~ "^/v1/stream/") {
        return (pass);
    }
    set req.url = std.querysort(req.url);  # the same parameters in another order are the same request
    unset req.http.Cookie;
    unset req.http.Authorization;
    return (hash);
}

sub vcl_backend_fetch {
    if (bereq.method == "GET") {
        set bereq.http.Via = "1.1 varnish";  # says that a cache is here: live replies gather for up to a second
    }
}

sub vcl_backend_response {
    set beresp.grace = 0s;  # of a reply that has expired one asks, and the others wait
    if (beresp.http.CDN-Cache-Control ~ "max-age=[0-9]+") {
        # Events: who comes later gets what there was, and then goes on with the others.
        set beresp.ttl = std.duration(regsub(beresp.http.CDN-Cache-Control, "^.*max-age=([0-9]+).*$", "\1") + "s", 1s);
        set beresp.do_gzip = false;
        set beresp.do_stream = true;
        return (deliver);
    }
}
