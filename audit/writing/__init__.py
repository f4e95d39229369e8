"""What an audit leaves behind: tables, pictures, a page, sounds."""
