-- The whole transfer in one round trip: the key, both accounts locked in id order, the transfer, two entries.
CREATE OR REPLACE FUNCTION thin_transfer(payer_owner uuid, request_key text, debit uuid, payee text, paise bigint)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    credit uuid;
    debited record;
    credited record;
    new_transfer uuid := uuidv7();
    answer jsonb;
BEGIN
    SELECT id INTO STRICT credit FROM accounts WHERE handle = payee;
    PERFORM id FROM accounts WHERE id IN (debit, credit) ORDER BY id FOR NO KEY UPDATE;
    UPDATE accounts SET balance = balance - paise, seq = seq + 1 WHERE id = debit RETURNING seq, balance INTO debited;
    UPDATE accounts SET balance = balance + paise, seq = seq + 1 WHERE id = credit RETURNING seq, balance INTO credited;
    answer := jsonb_build_object('id', new_transfer, 'kind', 'p2p', 'amount', paise, 'currency', 'INR', 'to', payee,
                                 'created_at', now(), 'balance_after', debited.balance);
    INSERT INTO idempotency_keys (owner_id, key, fingerprint, field_hashes, status, body, created_at)
    VALUES (payer_owner, request_key, repeat(md5(payee || paise), 2), '{}', 201, answer, now());
    INSERT INTO transfers (id, kind, debit_account_id, credit_account_id, amount, currency, initiated_by, created_at)
    VALUES (new_transfer, 'p2p', debit, credit, paise, 'INR', payer_owner, now());
    INSERT INTO entries (account_id, seq, transfer_id, direction, amount, balance_after, created_at)
    VALUES (debit, debited.seq, new_transfer, 'DEBIT', paise, debited.balance, now()),
           (credit, credited.seq, new_transfer, 'CREDIT', paise, credited.balance, now());
    RETURN answer;
END $$;
