"""Who asks, and whether that person may: every route for people is behind this.

known       the person of a request: a session, a token, or whoever reaches the listener where nobody can log in
forms       what a form of ours sent, and nobody else's: `await form(request)`, `token(request)`
cookies     the names and flags of what a browser keeps
login       /login, /logout, /account
throttle    how often somebody may try
viewer      what a page must know of who looks at it (pure)
acts        what somebody did, told: `tell(request, what, ...)`
"""
