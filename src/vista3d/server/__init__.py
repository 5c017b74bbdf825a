"""One resident model, many people: studies, sessions and jobs over HTTP.

`service.Service` holds everything that is not HTTP; `app.create_app` puts the web interface on it,
and the wires of other clients use the same service.
"""
