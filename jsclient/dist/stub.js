(()=>{var n=[],l=window;l.hly=l.headlessly||=new Proxy(n,{get:(t,s)=>s==="q"?n:(...o)=>{n.push([s,o])}});})();
