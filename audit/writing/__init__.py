"""The outputs of an audit: tables, pictures, a page, sounds."""
