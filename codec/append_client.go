package codec

import "github.com/godwit-im/godwit/backplane"

// AppendClientFrame appends f, the payload of one WebSocket message. It checks no
// limits: the server does. Any goroutine may call it; it allocates only when dst is
// too small. It panics if f is no frame of a client.
func AppendClientFrame(dst []byte, enc Encoding, f *ClientFrame) []byte {
	switch f.Type {
	case FrameSend, FrameRefresh, FramePing:
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
		dst = jsonBody(dst, f.Send.Body)
	case FrameRefresh:
		dst = jsonString(dst, "token", f.Token)
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
		return wrap(dst, mark, fieldClientSend)
	case FrameRefresh:
		dst = protoBytes(dst, fieldRefreshToken, f.Token)
		return wrap(dst, mark, fieldClientRefresh)
	}
	return wrap(dst, mark, fieldClientPing)
}
