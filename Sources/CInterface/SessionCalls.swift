import CDponnx
import DPONNX
import Glibc

@_cdecl("dponnx_abi_version")
public func abiVersion() -> Int32 { Int32(DPONNX_ABI_VERSION) }

@_cdecl("dponnx_free")
public func release(_ memory: UnsafeMutableRawPointer?) { free(memory) }

@_cdecl("dponnx_open")
public func open(
    _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?,
    _ session: UnsafeMutablePointer<OpaquePointer?>?
) -> Int32 {
    session?.pointee = nil
    return guarded {
        let path = String(cString: try required(path, "model_path"))
        let request = try TrainingRequest(options: options.map { String(cString: $0) } ?? "{}")
        let handle = SessionHandle(try TrainingSession(path: path, request))
        try required(session, "session").pointee = OpaquePointer(Unmanaged.passRetained(handle).toOpaque())
    }
}

@_cdecl("dponnx_close")
public func close(_ session: OpaquePointer?) {
    if let session { Unmanaged<SessionHandle>.fromOpaque(UnsafeRawPointer(session)).release() }
}

@_cdecl("dponnx_describe")
public func describe(_ session: OpaquePointer?, _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
    guarded(session) { try required(text, "json").pointee = json(SessionDescription($0)) }
}

@_cdecl("dponnx_check")
public func check(_ session: OpaquePointer?, _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> Int32 {
    text?.pointee = nil
    var result = Int32(DPONNX_OK)
    let status = guarded(session) {
        let check = try $0.check()
        text?.pointee = try json(check.report)
        guard let problem = check.problems.first else { return }
        keepMessage((problem.place.map { "\($0): " } ?? "") + problem.message)
        result = Int32(DPONNX_CHECK_FAILED)
    }
    return status == Int32(DPONNX_OK) ? result : status
}

@_cdecl("dponnx_weights")
public func weights(
    _ session: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ values: UnsafeMutablePointer<Float>?, _ count: Int
) -> Int32 {
    guarded(session) {
        let name = String(cString: try required(name, "name"))
        let target = try required(values, "values")
        let found = try $0.weights(of: name)
        guard found.count == count else { throw UsageError("'\(name)' has \(found.count) elements, not \(count)") }
        found.withUnsafeBufferPointer { if count > 0 { target.update(from: $0.baseAddress!, count: count) } }
    }
}

@_cdecl("dponnx_epsilon")
public func epsilon(_ session: OpaquePointer?, _ delta: Double, _ result: UnsafeMutablePointer<Double>?) -> Int32 {
    guarded(session) { try required(result, "epsilon").pointee = $0.epsilon(delta: delta) }
}

@_cdecl("dponnx_save")
public func save(_ session: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> Int32 {
    guarded(session) { try $0.save(to: String(cString: required(path, "path"))) }
}

@_cdecl("dponnx_checkpoint")
public func checkpoint(_ session: OpaquePointer?) -> Int32 { guarded(session) { try $0.saveCheckpoint() } }
