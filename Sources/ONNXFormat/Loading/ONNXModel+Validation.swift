import COnnxProto

extension ONNXModel {
    /// Checks what the wire format cannot tell; called once, at the end of loading.
    func validate() throws(ONNXFormatError) {
        let root = tree.root.pointee
        guard let graph = root.graph else {
            throw ONNXFormatError(.malformed, "the file holds no graph; it is not an ONNX model", at: displayName)
        }
        for tensor in TensorOccurrence.all(in: tree, file: displayName) {
            _ = try TensorStorage(tensor.pointer, external: externalFiles, at: tensor.place)
        }
        var calls = FunctionCalls(file: displayName)
        for function in messages(root.functions, root.n_functions) {
            var check = NameCheck(file: displayName, function: function)
            try check.run(function)
            try calls.add(function, calling: check.operators)
        }
        var check = NameCheck(file: displayName, function: nil)
        try check.run(UnsafePointer(graph), outer: [])
        try calls.checkExpansion(of: check.operators)
    }
}
