-- A double-entry transfer as eight statements, each sent when the one before is answered. {to} is a number, or an
-- expression that chooses one; {kind} is the transfer's kind; {transfer_id} is quoted as the protocol wants it.
\set payer random(1, {people})
\set other random(1, {people} - 1)
\set payee {to}
\set amount random(1, 10000)
\set key random(1, 9223372036854775807)
BEGIN;
INSERT INTO idempotency_keys (owner_id, key, fingerprint, field_hashes, status, body, created_at)
VALUES (('{owner_prefix}' || lpad(:payer::text, 12, '0'))::uuid, :key::text, repeat(md5(:key::text), 2),
    '{{"to": "0123456789abcdef", "amount": "0123456789abcdef"}}', 201,
    '{{"id": "0190a0a0-0000-7000-8000-000000000000", "kind": "p2p", "amount": 100, "currency": "INR", "note": null}}', now());
SELECT id FROM accounts
WHERE id IN (('{account_prefix}' || lpad(:payer::text, 12, '0'))::uuid,
             ('{account_prefix}' || lpad(:payee::text, 12, '0'))::uuid)
ORDER BY id FOR NO KEY UPDATE;
UPDATE accounts SET balance = balance - :amount, seq = seq + 1
WHERE id = ('{account_prefix}' || lpad(:payer::text, 12, '0'))::uuid
RETURNING seq AS debit_seq, balance AS debit_balance \gset
UPDATE accounts SET balance = balance + :amount, seq = seq + 1
WHERE id = ('{account_prefix}' || lpad(:payee::text, 12, '0'))::uuid
RETURNING seq AS credit_seq, balance AS credit_balance \gset
INSERT INTO transfers (id, kind, debit_account_id, credit_account_id, amount, currency, initiated_by, created_at)
VALUES (uuidv7(), '{kind}', ('{account_prefix}' || lpad(:payer::text, 12, '0'))::uuid,
    ('{account_prefix}' || lpad(:payee::text, 12, '0'))::uuid, :amount, 'INR',
    ('{owner_prefix}' || lpad(:payer::text, 12, '0'))::uuid, now())
RETURNING id AS transfer_id \gset
INSERT INTO entries (account_id, seq, transfer_id, direction, amount, balance_after, created_at)
VALUES (('{account_prefix}' || lpad(:payer::text, 12, '0'))::uuid, :debit_seq, {transfer_id}::uuid, 'DEBIT', :amount,
        :debit_balance, now()),
       (('{account_prefix}' || lpad(:payee::text, 12, '0'))::uuid, :credit_seq, {transfer_id}::uuid, 'CREDIT', :amount,
        :credit_balance, now());
COMMIT;
