package codec

import "github.com/godwit-im/godwit/backplane"

// AppendClientFrame appends f, the payload of one WebSocket message. It checks no
// limits: the server does. Any goroutine may call it; it allocates only when dst is
// too small. It panics if f is no frame of a client.
func AppendClientFrame(dst []byte, enc Encoding, f *ClientFrame) []byte {
	switch f.Type {
	case FrameSend, FrameRefresh, FramePing, FrameHistory:
	default:
		panic("codec: AppendClientFrame of a " + f.Type.String())
	}
	if enc == Proto {
		return protoClientFrame(dst, f)
	}
	dst = jsonOpen(dst, f.Type)
	switch f.Type {
	case FrameSend:
		dst = jsonString(dst, "id", f.Send.ID)
		dst = jsonStrings(dst, "to", f.Send.To)
		if f.Send.Kind != backplane.KindMessage {
			dst = jsonString(dst, "kind", kindName(f.Send.Kind))
		}
		if f.Send.TTL > 0 {
			dst = jsonInt(dst, "ttl_ms", f.Send.TTL)
		}
		dst = jsonBody(dst, f.Send.Body)
	case FrameRefresh:
		dst = jsonString(dst, "token", f.Token)
	case FrameHistory:
		dst = jsonHistory(dst, &f.History)
	}
	return append(dst, '}')
}

func protoClientFrame(dst []byte, f *ClientFrame) []byte {
	mark := len(dst)
	switch f.Type {
	case FrameSend:
		dst = protoBytes(dst, fieldSendID, f.Send.ID)
		for _, u := range f.Send.To {
			dst = protoBytes(dst, fieldSendTo, u)
		}
		dst = protoBytes(dst, fieldSendBody, f.Send.Body)
		dst = protoUint(dst, fieldSendKind, uint64(f.Send.Kind))
		dst = protoUint(dst, fieldSendTTL, uint64(f.Send.TTL))
		return wrap(dst, mark, fieldClientSend)
	case FrameRefresh:
		dst = protoBytes(dst, fieldRefreshToken, f.Token)
		return wrap(dst, mark, fieldClientRefresh)
	case FrameHistory:
		return wrap(protoHistory(dst, &f.History), mark, fieldClientHistory)
	}
	return wrap(dst, mark, fieldClientPing)
}

// jsonHistory appends the members of a history request, without the limit that goes
// without saying.
func jsonHistory(dst []byte, h *History) []byte {
	dst = jsonString(dst, "id", h.ID)
	if len(h.After) > 0 {
		dst = jsonString(dst, "after", h.After)
	}
	if len(h.Before) > 0 {
		dst = jsonString(dst, "before", h.Before)
	}
	if len(h.Around) > 0 {
		dst = jsonString(dst, "around", h.Around)
	}
	if h.Limit > 0 && h.Limit != DefaultPage {
		dst = jsonInt(dst, "limit", int64(h.Limit))
	}
	if len(h.Peer) > 0 {
		dst = jsonString(dst, "peer", h.Peer)
	}
	return dst
}

func protoHistory(dst []byte, h *History) []byte {
	dst = protoBytes(dst, fieldHistoryID, h.ID)
	dst = protoBytes(dst, fieldHistoryAfter, h.After)
	dst = protoBytes(dst, fieldHistoryBefore, h.Before)
	dst = protoBytes(dst, fieldHistoryAround, h.Around)
	if h.Limit > 0 && h.Limit != DefaultPage {
		dst = protoUint(dst, fieldHistoryLimit, uint64(h.Limit))
	}
	return protoBytes(dst, fieldHistoryPeer, h.Peer)
}
