vcl 4.1;

backend default {
    .host = "127.0.0.1";
    .port = "8765";
}

sub vcl_recv {
    if (req.http.Upgrade ~ "(?i)websocket") {
        return (pipe);
    }
}

sub vcl_pipe {
    if (req.http.Upgrade) {
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = req.http.Connection;
    }
}

sub vcl_backend_fetch {
    set bereq.first_byte_timeout = 1d;
    set bereq.between_bytes_timeout = 1d;
}

sub vcl_backend_response {
    if (beresp.http.Cache-Control ~ "no-transform") {
        set beresp.do_gzip = false;
        set beresp.do_stream = true;
    }
}
