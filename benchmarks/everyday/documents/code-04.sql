SELECT h.name, count(*) AS nights, round(sum(b.price), 2) AS income
FROM bookings b JOIN houses h ON h.id = b.house_id
WHERE b.arrival >= DATE '2025-01-01' AND b.cancelled_at IS NULL
GROUP BY h.name
HAVING count(*) > 20
ORDER BY income DESC;
