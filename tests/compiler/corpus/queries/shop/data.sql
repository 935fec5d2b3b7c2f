CREATE TABLE customers (id INTEGER, name VARCHAR, country VARCHAR, lim DOUBLE);
INSERT INTO customers VALUES (1, 'Ann', 'US', 1000), (2, 'Bob', 'DE', 500), (3, 'Cem', 'US', 700);
CREATE TABLE orders (id INTEGER, customer_id INTEGER, ship_to_id INTEGER, ordered_on DATE, amount DOUBLE, status VARCHAR);
INSERT INTO orders VALUES
    (1, 1, 1, '2024-01-05', 100, 'paid'), (2, 1, 2, '2024-02-10', 50, 'paid'), (3, 2, 2, '2024-01-20', 80, 'open'),
    (4, 2, 3, '2025-01-15', 120, 'paid'), (5, NULL, 3, '2025-02-01', 30, 'paid');
CREATE TABLE returns (id INTEGER, customer_id INTEGER, returned_on DATE, amount DOUBLE);
INSERT INTO returns VALUES (1, 1, '2024-02-20', 10), (2, 3, '2025-01-25', 5);
