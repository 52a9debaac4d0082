"""What the records say: pages, tables, the HTML report."""
